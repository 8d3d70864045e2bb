"""Every relative link and picture of the documentation leads to a file of the project, and every #anchor to a heading.

    links.py SOURCE_FOLDER
"""
import pathlib
import re
import sys

from documents import documents

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|<img[^>]*\ssrc=\"([^\"]+)\"")


def anchors(text):
    """The anchors of the headings, as code hosts make them."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", heading.lower())) for heading in headings}


def wrong_links(source, document):
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), document.read_text(), flags=re.M | re.S))
    for link in LINK.finditer(text):
        target = link[1] or link[2]
        if re.match(r"[a-z]+:", target):
            continue
        place = f"{document.relative_to(source)}:{text.count(chr(10), 0, link.start()) + 1}"
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or not file.is_relative_to(source):
            yield f"{place}: {target} leads nowhere"
        elif anchor and anchor not in anchors(file.read_text()):
            yield f"{place}: {path or 'this page'} has no heading for #{anchor}"


def main():
    source = pathlib.Path(sys.argv[1]).resolve()
    wrong = [line for document in documents(source) for line in wrong_links(source, document)]
    print("\n".join(wrong) or "every link leads somewhere")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
