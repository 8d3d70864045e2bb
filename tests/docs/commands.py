"""The commands that docs/interface.md promises are those that `sluice --help` lists.

    commands.py SOURCE_FOLDER PROGRAM
"""
import pathlib
import re
import subprocess
import sys


def main():
    page = pathlib.Path(sys.argv[1], "docs", "interface.md").read_text()
    rows = re.findall(r"^\| (`sluice .*?) \| ", page, flags=re.MULTILINE)
    promised = {verb for row in rows for verb in re.findall(r"`sluice ([a-z]+)", row)}
    shown = subprocess.run([sys.argv[2], "--help"], capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  ([a-z]+) ", shown, flags=re.MULTILINE))
    for verb in sorted(promised - listed):
        print(f"docs/interface.md promises `sluice {verb}`, which --help does not list")
    for verb in sorted(listed - promised):
        print(f"--help lists {verb}, which is missing in docs/interface.md")
    sys.exit(promised != listed or not promised)


if __name__ == "__main__":
    main()
