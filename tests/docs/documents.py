"""The project's Markdown files."""


def documents(source):
    """Sorted paths; whatever lies in build/ and runs/ is not the project's."""
    patterns = ["*.md", "*/README.md", "*/*/README.md", "docs/**/*.md"]
    generated = ("build", "runs", ".git")
    return sorted({file for pattern in patterns for file in source.glob(pattern)
                   if not file.relative_to(source).parts[0].startswith(generated)})
