#!/usr/bin/env bash
# rights.sh SOURCE: ./quickstart and ./check where a package is missing.  Stand-ins for id, dpkg-query and sudo come first in
# PATH, so nothing is installed and nothing is built.
set -euo pipefail
source=$1
mkdir -p stand-ins

stand_in() {
    cat > "stand-ins/$1"
    chmod +x "stand-ins/$1"
}
fail() {
    printf 'rights: %s\n' "$*" >&2
    exit 1
}
# try COMMAND: its status and output, in a project folder whose packages are not all here.
try() {
    status=0
    output=$(PATH=$PWD/stand-ins:$PATH "$source/$1" 2>&1 < /dev/null) || status=$?
}

stand_in id <<< $'#!/bin/sh\necho 1000'
stand_in dpkg-query << 'END'
#!/bin/sh
# Everything is installed but two packages: one that was removed, and one that was never here.
for package; do
    case $package in
    -*) ;;
    libyaml-dev) echo "config-files $package" ;;
    libgsl-dev) missing=1 ;;
    *) echo "installed $package" ;;
    esac
done
exit ${missing:-0}
END

stand_in sudo <<< $'#!/bin/sh\nexit 1'
for command in quickstart check; do
    try $command
    ((status == 2)) || fail "./$command without rights ends with status $status, not 2: $output"
    [[ $output == *"missing packages: libyaml-dev libgsl-dev"$'\n'* ]] || fail "./$command does not say what is missing: $output"
    [[ $output == *"apt-get install --yes --no-install-recommends libyaml-dev libgsl-dev" ]] ||
        fail "./$command does not end with the line to type: $output"
done

# With sudo, the same packages go to apt-get; a failure there is told with the line that failed.
stand_in sudo << END
#!/bin/sh
echo "\$*" >> "$PWD/asked"
case "\$*" in *install*) exit 100 ;; esac
END
rm -f asked
try check
((status == 2)) || fail "a failed installation ends with status $status, not 2: $output"
grep -qx -- '-n env DEBIAN_FRONTEND=noninteractive apt-get --quiet install --yes --no-install-recommends libyaml-dev libgsl-dev' asked ||
    fail "sudo was asked for: $(cat asked)"
[[ $output == *"sudo apt-get update && sudo apt-get install --yes --no-install-recommends libyaml-dev libgsl-dev" ]] ||
    fail "the line that failed is not shown: $output"
