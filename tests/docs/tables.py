"""docs/interface.md names the fields of results.h5 that io/tables.h defines, in their order.

    tables.py SOURCE_FOLDER
"""
import pathlib
import re
import sys

LISTS = {"trials": "TRIAL", "accuracy": "ACCURACY", "training": "TRAINING", "attempts": "ATTEMPT", "stages": "STAGE",
         "options": "OPTION"}
ADDED = {"accuracy": ["trial"], "training": ["trial"]}  # what the file adds to a stage's rows


def fields(header, block):
    """The names in a list of fields, which may contain another list: METRIC_FIELDS(F)."""
    names = []
    for name, other in re.findall(r"F\([A-Z]+, (\w+),|(\w+)_FIELDS\(F\)", block):
        names += [name] if name else fields(header, definition(header, other))
    return names


def definition(header, name):
    return re.search(rf"#define {name}_FIELDS\(F\)((?:.*\\\n)*.*\n)", header)[1]


def main():
    source = pathlib.Path(sys.argv[1])
    header = (source / "io" / "tables.h").read_text()
    page = (source / "docs" / "interface.md").read_text()
    wrong = []
    for table, name in LISTS.items():
        block = definition(header, name)
        defined = ADDED.get(table, []) + fields(header, block)
        row = re.search(rf"^\| `/{table}` \|[^|]*\|(.*)\|$", page, flags=re.MULTILINE)
        told = re.findall(r"`(\w+)`", row[1]) if row else []
        if told != defined:
            wrong.append(f"docs/interface.md: /{table} is told to have {told}, and has {defined}")
    print("\n".join(wrong) or "the page names the fields that the tables have")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
