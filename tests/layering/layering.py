"""The arrows of docs/architecture.md, asked of the compiler.

    layering.py COMPILER FLAGS_FOLDER SOURCE_FOLDER [COMPILER_OPTION ...]

FLAGS_FOLDER/ROOM holds the include options with which the build compiles files of ROOM.  With exactly these options an
allowed include must compile and any other must fail because the compiler cannot find it; each header of the room must compile
by itself; and no source may climb out of its room with "../".
"""
import pathlib
import re
import subprocess
import sys

# room: the rooms, and the libraries above libc, whose headers it may include.  err.h and digest.h of io/ are open to all.
ARROWS = {
    "io": ["hdf5"],
    "model": [],
    "sweeps": ["io"],
    "worker": ["sweeps", "model", "io", "mpi"],
    "orchestrator": ["worker", "sweeps", "io", "mpi"],
    "slurm": ["sweeps", "io"],
    "analysis": ["io"],
}
EVERYONE = ["io/err.h", "io/digest.h"]
EXAMPLE = {  # one header of each room or library
    "io": "io/h5.h",
    "model": "model/vit.h",
    "sweeps": "sweeps/stage.h",
    "worker": "worker/trainer.h",
    "orchestrator": "orchestrator/commands.h",
    "slurm": "slurm/commands.h",
    "analysis": "analysis/commands.h",
    "mpi": "mpi.h",
    "hdf5": "hdf5.h",
}


class Compiler:
    def __init__(self, program, flags_folder, options):
        self.program, self.flags_folder, self.options = program, pathlib.Path(flags_folder), options

    def includes(self, room, header):
        """Compile `#include "header"` as a file of the room: None, or the compiler's first complaint."""
        flags = (self.flags_folder / room).read_text().split("\n")
        done = subprocess.run([self.program, "-std=c17", "-D_GNU_SOURCE", "-fsyntax-only", *self.options,
                               *filter(None, flags), "-x", "c", "-"],
                              input=f'#include "{header}"\n', capture_output=True, text=True, cwd="/")
        if done.returncode == 0:
            return None
        return next((line for line in done.stderr.splitlines() if "error" in line), done.stderr or "no message")


def wrong_includes(compiler):
    for room, allowed in ARROWS.items():
        for header in EVERYONE:
            complaint = compiler.includes(room, header)
            if complaint:
                yield f"{room} should be able to include {header}: {complaint}"
        for other, header in EXAMPLE.items():
            complaint = compiler.includes(room, header)
            if other == room or other in allowed:
                if complaint:
                    yield f"{room} should be able to include {header}: {complaint}"
            elif complaint is None:
                yield f"{room} can include {header}, and should know nothing of {other}"
            elif not re.search(rf"{re.escape(header)}.*(No such file|not found)", complaint):
                yield f"{room} fails to include {header}, but not because it cannot find it: {complaint}"


def headers_that_need_others(compiler, source):
    for room in ARROWS:
        for header in sorted((source / room).glob("*.h")):
            complaint = compiler.includes(room, f"{room}/{header.name}")
            if complaint:
                yield f"{room}/{header.name} does not compile by itself: {complaint}"


def climbing_includes(source):
    for room in [*ARROWS, "tests"]:
        for file in sorted((source / room).rglob("*.[ch]")):
            for number, line in enumerate(file.read_text().split("\n"), 1):
                if re.match(r'\s*#\s*include\s*[<"](\.\./|.*/\.\./)', line):
                    yield f"{file.relative_to(source)}:{number}: includes by a path through '..'"


def main():
    compiler, source = Compiler(sys.argv[1], sys.argv[2], sys.argv[4:]), pathlib.Path(sys.argv[3])
    wrong = [*wrong_includes(compiler), *headers_that_need_others(compiler, source), *climbing_includes(source)]
    print("\n".join(wrong) or "every arrow points down")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
