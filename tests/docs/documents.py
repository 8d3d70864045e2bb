"""The project's Markdown files."""


def documents(source):
    """Every one but those in build/ and runs/, which are not the project's."""
    def ours(file):
        parts = file.relative_to(source).parts
        return not any(part in ("build", "runs", ".git") or part.startswith("build-") for part in parts)

    return sorted(filter(ours, source.rglob("*.md")))
