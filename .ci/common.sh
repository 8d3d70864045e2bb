# shellcheck shell=bash
# What ./quickstart, ./check and .ci/run share: installing packages, building.  Sourced from the project's folder.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# packages PURPOSE...: the names of .ci/packages for these purposes.
packages() {
    local purposes=" $* " purpose name
    while read -r purpose name; do
        if [[ $purposes == *" $purpose "* ]]; then
            printf '%s\n' "$name"
        fi
    done < .ci/packages
}

# missing NAME...: those that are not installed.
missing() {
    local installed
    installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "$@" 2> /dev/null | sort -u || true)
    printf '%s\n' "$@" | grep -Fvx -f <(sed -n 's/^installed //p' <<< "$installed") || true
}

# install_packages PURPOSE...: install what is missing, as root or through sudo; without the right to, say how and stop.
install_packages() {
    local wanted absent as_root=()
    if ! command -v dpkg-query > /dev/null; then
        say "this is no Debian system; assuming that the libraries of .ci/packages are here"
        return
    fi
    mapfile -t wanted < <(packages "$@")
    mapfile -t absent < <(missing "${wanted[@]}")
    if ((${#absent[@]} == 0)); then
        return
    fi
    say "missing packages: ${absent[*]}"
    if (($(id -u) != 0)); then
        if sudo -n true 2> /dev/null; then
            as_root=(sudo -n)
        elif [[ -t 0 ]] && command -v sudo > /dev/null; then
            as_root=(sudo)
        else
            say "no right to install them; please have somebody run"
            show_line sudo "${absent[@]}"
            exit 2
        fi
    fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get --quiet)
    if ! "${apt[@]}" update > /dev/null || ! "${apt[@]}" install --yes --no-install-recommends "${absent[@]}" < /dev/null; then
        say "the packages could not be installed; what was tried is"
        show_line "${as_root[0]-}" "${absent[@]}"
        exit 2
    fi
}

# show_line SUDO NAME...: the command that installs, for a person to type.
show_line() {
    local sudo=${1:+$1 }
    shift
    printf '    %sapt-get update && %sapt-get install --yes --no-install-recommends %s\n' "$sudo" "$sudo" "$*" >&2
}

# build PRESET TESTS [TARGET...]: configure where it is new or asked to be otherwise than it was, and build.  TESTS is ON, or
# OFF to do without the tests where they have not been asked for yet.
build() {
    local preset=$1 tests=$2 folder=build/$1 werror=${SLUICE_WERROR:-OFF}
    shift 2
    if [[ ! -f $folder/build.ninja ]] || ! is_set "$folder" SLUICE_WERROR "$werror" ||
        { [[ $tests == ON ]] && ! is_set "$folder" SLUICE_TESTS ON; }; then
        say "configuring $folder"
        mkdir -p build
        cmake --preset "$preset" -D SLUICE_WERROR="$werror" -D SLUICE_TESTS="$tests" > "$folder.log" 2>&1 || {
            cat "$folder.log" >&2
            say "could not configure; the reason is above"
            exit 1
        }
    fi
    cmake --build --preset "$preset" ${1:+--target "$@"}
}

# is_set FOLDER OPTION VALUE: was it configured so?
is_set() {
    grep -q "^$2:BOOL=$3\$" "$1/CMakeCache.txt"
}
