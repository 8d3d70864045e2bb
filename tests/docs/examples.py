"""Run the examples of the documentation and compare what they print.

    examples.py SOURCE_FOLDER PROGRAM

A block of a Markdown file is an example when `<!-- run -->` stands on the line above it:

    <!-- run -->
    ```console
    $ sluice options gate.scope
    gate.scope ...
    ```

A block below `<!-- file: NAME -->` is a file of that name, for the examples of its document.

Lines with `$ ` are commands, `> ` continues one; the lines below a command are what it prints, standard error included.  In
them `...` stands for any text, and on a line of its own for any number of lines.  A command must end with status 0 unless
`$ echo $?` follows.  `sluice` is PROGRAM; the examples of one document run in one fresh folder, in order, in which `sweeps`
is the project's.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

from documents import documents

BLOCK = re.compile(r"^<!-- run -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^<!-- file: ([\w.-]+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "\x01"  # cannot be printed by a well-behaved command


class Step:
    def __init__(self, line, command):
        self.line, self.command, self.expected = line, command, []


def steps_of(text, first_line):
    """The commands of one block with the lines expected below each."""
    steps = []
    for line, content in enumerate(text.splitlines(), first_line):
        if content.startswith("$ "):
            steps.append(Step(line, content[2:]))
        elif content.startswith("> ") and steps and not steps[-1].expected:
            steps[-1].command += "\n" + content[2:]
        elif steps:
            steps[-1].expected.append(content)
        else:
            raise ValueError(f"line {line}: an example begins with a command")
    return steps


def pattern(lines):
    """A regular expression for the lines expected of a command."""
    parts = [r"(?:[^\n]*\n)*?" if line.strip() == "..." else
             ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ ]*\n" for line in lines]
    return re.compile("".join(parts) + r"\Z")


def play(steps, folder, environment):
    """Run the commands in one shell; yields (step, output, exit status)."""
    script = "".join(f"{step.command}\nstatus=$?; printf '{MARK}%d{MARK}' $status; (exit $status)\n" for step in steps)
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    pieces = done.stdout.split(MARK)
    for step, output, status in zip(steps, pieces[0::2], pieces[1::2]):
        yield step, output, int(status)


def wrong_examples(document, name, folder, environment):
    text = document.read_text()
    for block in BLOCK.finditer(text):
        steps = steps_of(block[1], text.count("\n", 0, block.start(1)) + 1)
        played = 0
        for step, output, status in play(steps, folder, environment):
            played += 1
            shown = output if output.endswith("\n") or not output else output + "\n"
            if status and not (played < len(steps) and steps[played].command == "echo $?"):
                yield f"{name}:{step.line}: `{step.command}` ends with status {status} and prints\n{shown}"
            elif not pattern(step.expected).match(shown):
                yield f"{name}:{step.line}: `{step.command}` prints\n{shown}"
        if played < len(steps):
            yield f"{name}:{steps[played].line}: the shell ended before `{steps[played].command}`"


def main():
    source, program = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "COLUMNS": "100", "TERM": "dumb"}
    wrong, examples = [], 0
    for document in documents(source):
        name = str(document.relative_to(source))
        examples += len(BLOCK.findall(document.read_text()))
        folder = pathlib.Path("examples", name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "sweeps").symlink_to(source / "sweeps")
        for file in FILE.finditer(document.read_text()):
            (folder / file[1]).write_text(file[2])
        wrong += wrong_examples(document, name, folder, environment)
    print("\n".join(wrong) or f"{examples} examples print what the documentation shows")
    sys.exit(bool(wrong) or examples == 0)


if __name__ == "__main__":
    main()
