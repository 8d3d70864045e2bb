#!/usr/bin/env bash
# install.sh CMAKE BUILD SOURCE VERSION: install into a fresh prefix and use what lies there.
set -euo pipefail
cmake=$1 build=$2 source=$3 version=$4
prefix=$PWD/prefix
sluice=$prefix/bin/sluice

rm -rf "$prefix"
"$cmake" --install "$build" --prefix "$prefix" > install.log

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

printed=$("$sluice" --version)
[[ $printed == "sluice $version" ]] || fail "--version prints '$printed', not 'sluice $version'"

"$sluice" --help > help.txt
mapfile -t commands < <(sed -n 's/^  \([a-z]*\) .*/\1/p' help.txt)
((${#commands[@]} > 0)) || fail "--help lists no command"
for command in "${commands[@]}"; do
    "$sluice" "$command" --help > "help-$command.txt" < /dev/null || fail "$command --help ends with status $?"
    grep -q "sluice $command" "help-$command.txt" || fail "$command --help shows no example"
done

status=0
"$sluice" nonsense 2> /dev/null || status=$?
((status == 2)) || fail "an unknown command ends with status $status, not 2"

# Everything that the source tree offers to users is there, byte for byte.
while read -r file; do
    cmp -s "$source/sweeps/$file" "$prefix/share/sluice/sweeps/$file" || fail "sweeps/$file is not installed"
done < <(cd "$source/sweeps" && find . -path ./backbones -prune -o -name '*.yaml' -print)
diff -r "$source/docs" "$prefix/share/doc/sluice/docs" || fail "docs/ is not installed as it is"
if [[ -d $source/sweeps/backbones ]]; then
    diff -r "$source/sweeps/backbones" "$prefix/share/sluice/backbones" || fail "sweeps/backbones/ is not installed as it is"
fi
printf 'sluice %s with %d commands\n' "$version" "${#commands[@]}"
