# The receiver: what sslops runs on a server, as `sh -c THIS sslops-receiver OPERATION NUMBER DIRECTORY`.
# It takes no secrets as arguments; the payload is a tar archive on stdin. It answers in lines of `word value...`.
#
#   look    say what is here; takes no lock and changes nothing
#   ask     the same under the lock, after the fence: nothing older can act afterwards
#   put     stage, check, switch, restart; go back once when a restart fails; what is here for the first time stays
#   back    return to where that put would have gone back to
#
# Exit codes: 20 an older number than the highest seen, 21 another receiver holds the lock, 22 a program is missing,
# 23 the payload is not complete, 24 a restart failed and all went back, 25 the way back failed too, 26 the switch
# failed and all went back, 27 a restart failed and all of it is here for the first time, so that it stays.

set -eu
LC_ALL=C
export LC_ALL
# Not every sshd gives a command the system folders, and postfix or nginx live there.
PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin
export PATH
inherited_umask=$(umask)
umask 077

operation=$1
number=$2
root=$3
stage=$root/.sslops-staging
journal=$root/.sslops-unfinished
tab=$(printf '\t')
newline='
'
phase=start
seen=0

# A test replaces this definition to stop the receiver at any step.
step() { :; }

# The runner may be gone; what was begun is still finished, so a broken pipe must not end us.
trap '' PIPE HUP
tell() { printf '%s\n' "$*" 2>/dev/null || :; }

refuse() {
    tell "refused $2"
    exit "$1"
}

# The first lines of what a program said, on one line.
brief() { printf '%s' "$1" | head -n 3 | tr '\n\t' '  ' | cut -c 1-300; }

# tar says "no space left" only when nothing fitted at all, else how much it wrote.
free_space() { printf '%s KiB are free there' "$(df -Pk . 2>/dev/null | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"; }

# Who owns the files of a service may have put anything into a folder that was once his: what is read is a regular file
# and no link, so that nothing blocks, and none of it is somebody else's.
is_plain() { [ -f "$1" ] && [ ! -L "$1" ]; }

# Paths of small regular files, each ended by a null byte. A shell's pattern goes through the link `curr`; find through none.
plain_files() { find "$@" -maxdepth 0 -type f -size -2048k -print0 2>/dev/null || :; }

# Whether service $1 is where we put it: a link in its place would let us write, and remove, somewhere else.
is_ours() { [ ! -L "${1%%/*}" ] && [ ! -L "$1" ] && [ ! -L "$1/.generations" ]; }

# busybox without its long options knows neither form; then everything is flushed.
flush_file() { sync "$1" 2>/dev/null || sync; }
flush_all() { sync -f "$root" 2>/dev/null || sync; }

leave() {
    code=$1
    trap - EXIT
    if [ "$phase" = switching ]; then
        if go_back; then code=26; else code=25; fi
    fi
    # Key material must not outlive the run that sent it.
    if [ "$phase" != start ]; then rm -rf -- "$stage"; fi
    if [ "$phase" != start ] && [ "$phase" != finished ]; then sweep || :; fi
    exit "$code"
}

take_lock() {
    for program in flock sha256sum tar mv readlink sync find; do
        command -v "$program" >/dev/null || refuse 22 "no program '$program' on this host"
    done
    (umask 022 && mkdir -p -- "$root")
    step lock
    if [ -e "$root/.sslops-lock" ] && ! is_plain "$root/.sslops-lock"; then
        refuse 23 "'$root/.sslops-lock' is no file"
    fi
    exec 9>>"$root/.sslops-lock"
    # Not every flock can wait for a limited time. Whoever waits here is fenced below.
    tries=60
    until flock -n 9; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || refuse 21 "another receiver is running on this host"
        sleep 0.5 2>/dev/null || sleep 1
    done
    step locked
}

read_number() {
    seen=0
    if [ -L "$root/.sslops-seq" ]; then refuse 23 "'$root/.sslops-seq' is a link"; fi
    if is_plain "$root/.sslops-seq" && [ -s "$root/.sslops-seq" ]; then read -r seen <"$root/.sslops-seq"; fi
    case $seen in '' | *[!0-9]*) refuse 23 "no number in '$root/.sslops-seq'" ;; esac
}

fence() {
    read_number
    if [ "$number" -lt "$seen" ]; then
        tell "seq $seen"
        refuse 20 "number $number is older than $seen"
    fi
    if [ "$number" -gt "$seen" ]; then
        step fence
        printf '%s\n' "$number" >"$root/.sslops-seq.new"
        flush_file "$root/.sslops-seq.new"
        mv -f -- "$root/.sslops-seq.new" "$root/.sslops-seq"
        flush_file "$root"
        seen=$number
        step fenced
    fi
    tell "seq $seen"
}

# Names come from the runner, which checked them; a path that leaves the root would still be one mistake too many.
check_name() {
    case $1 in
    '' | /* | .* | -* | */.* | */-* | *//* | */ | *[!A-Za-z0-9._/-]*) refuse 23 "unsafe name in the payload" ;;
    esac
}

# Sets $current to what `curr` of service $1 points at, as a link beside it would say; empty without one. No fork.
find_current() {
    current=
    for candidate in "$1"/.generations/*; do
        if [ "$candidate" -ef "$1/curr" ]; then
            current=.generations/${candidate##*/}
            return 0
        fi
    done
    if [ -L "$1/curr" ] && [ -e "$1/curr" ]; then current=$(readlink -- "$1/curr"); fi
}

# A run that was killed leaves a staging folder, generations nobody points at, and on an adopted site perhaps no `curr`.
repair() {
    phase=repairing
    step repair
    rm -rf -- "$stage"
    unfinished=
    if is_plain "$journal"; then unfinished=$(head -c 1000000 -- "$journal"); fi
    while IFS= read -r name; do
        if [ -n "$name" ] && is_ours "$name" && [ ! -e "$name/curr" ] && [ -e "$name/.prev" ]; then point_at_previous "$name"; fi
    done <<NAMES
$unfinished
NAMES
    sweep
    step repaired
}

# Generations that are neither served nor the way back.
sweep() {
    for candidate in */*/.generations/*; do
        [ -e "$candidate" ] || continue
        service=${candidate%/.generations/*}
        is_ours "$service" || continue
        if [ "$candidate" -ef "$service/curr" ] || [ "$candidate" -ef "$service/.prev" ]; then continue; fi
        step "sweep $candidate"
        rm -rf -- "$candidate"
        step "swept $candidate"
    done
}

tell_files() {
    { xargs -0 -r sha256sum -- 2>/dev/null || :; } | sed 's/^/file /' 2>/dev/null || :
}

tell_all() {
    printf '%s\n' "$unfinished" | sed '/./!d; s/^/unfinished /'
    plain_files */*/curr/* */tlsa.* | tell_files
    plain_files */*/curr/privkey.pem | { xargs -0 -r stat -L -c 'access %a %U %u %G %g %n' -- 2>/dev/null || :; }
    plain_files */*/curr/info */*/curr/sums | { xargs -0 -r grep -sH '' -- || :; } | sed 's/^/text /' 2>/dev/null || :
}

# A host that limits the key to the receiver (forced.sh) may limit what it restarts, too.
may_run() {
    [ -n "${allowed_restarts-}" ] || return 0
    while IFS= read -r line; do
        if [ "$(cat -- "$1")" = "exec $line" ]; then return 0; fi
    done <"$allowed_restarts"
    return 1
}

unpack() {
    phase=staging
    step stage
    mkdir -- "$stage"
    said=$(tar -xpof - -C "$stage" 2>&1) || refuse 23 "the payload cannot be unpacked: $(brief "$said"); $(free_space)"
    said=$(cd -- "$stage" && sha256sum -c sums 2>&1 >/dev/null) ||
        refuse 23 "the payload is not what was sent: $(brief "$said")"
    while IFS=$tab read -r kind first second third; do
        case $kind in
        owner)
            # Files only: who owns a folder could put something else into it.
            said=$(printf '%s\0' "$stage/$first"/*/* | xargs -0 chown -- "$second" 2>&1) ||
                refuse 23 "files cannot be given to '$second': ${said%%"$newline"*}"
            ;;
        service) check_name "$second" ;;
        restart) may_run "$stage/$second" || refuse 23 "this host does not allow the restart_cmd of '$first'" ;;
        dh | dhlink) check_name "$second" ;;
        include)
            check_name "$second"
            # A name server that goes by the time of the last change has to see that it is a new one.
            touch -- "$stage/$first"
            ;;
        esac
    done <"$stage/manifest"
    : >"$stage/switched"
    : >"$stage/included"
    : >"$stage/attempted"
    step staged
}

# The new files, whole and flushed, beside what is served. Nothing points at them yet.
place() {
    step place
    while IFS= read -r name; do
        path=
        old_ifs=$IFS
        IFS=/
        for part in $name; do
            path=${path:+$path/}$part
            if [ -L "$path" ]; then refuse 23 "'$root/$path' is a link where a folder of ours should be"; fi
            if [ -e "$path" ] && [ ! -d "$path" ]; then refuse 23 "'$root/$path' is no folder"; fi
        done
        IFS=$old_ifs
    done <"$stage/folders"
    if [ -s "$stage/folders" ]; then (umask 022 && xargs mkdir -p -- <"$stage/folders"); fi
    while IFS=$tab read -r kind first second third _; do
        [ "$kind" = service ] || continue
        [ ! -e "$second/.generations/$third.$number" ] || refuse 23 "number $number was used before"
        mv -T -- "$stage/$first" "$second/.generations/$third.$number"
    done <"$stage/manifest"
    place_dhparm
    flush_all
    step placed
}

# Diffie-Hellman parameters are constants that no daemon has to be told of: what is there stays, whoever put it there,
# and so does a folder that is a link.
place_dhparm() {
    while IFS=$tab read -r kind first second third; do
        folder=${second%/*}
        case $kind in
        dh)
            [ ! -L "$folder" ] || continue
            (umask 022 && mkdir -p -- "$folder")
            if [ ! -e "$second" ] && [ ! -L "$second" ]; then mv -T -- "$stage/$first" "$second"; fi
            ;;
        dhlink)
            if [ ! -L "$folder" ] && [ ! -e "$second" ] && [ ! -L "$second" ]; then ln -s -- "$first" "$second"; fi
            tell "dhparm $third"
            ;;
        esac
    done <"$stage/manifest"
}

# From here until the restarts are through, the names of this session stand in the journal: files and daemons may differ.
begin_journal() {
    step journal
    {
        if [ -n "$unfinished" ]; then printf '%s\n' "$unfinished"; fi
        while IFS=$tab read -r kind first second third; do
            case "$kind$newline$unfinished$newline" in
            service*"$newline$second$newline"*) ;;
            service*) printf '%s\n' "$second" ;;
            esac
        done <"$stage/manifest"
    } >"$journal.new"
    flush_file "$journal.new"
    mv -f -- "$journal.new" "$journal"
    flush_file "$root"
    step journalled
}

end_journal() {
    step forget
    : >"$journal.new"
    names=$newline$(cat -- "$stage/names")$newline
    while IFS= read -r name; do
        case $name$names in
        "$names" | *"$newline$name$newline"*) ;;
        *) printf '%s\n' "$name" >>"$journal.new" ;;
        esac
    done <<NAMES
$unfinished
NAMES
    if [ -s "$journal.new" ]; then
        mv -f -- "$journal.new" "$journal"
    else
        rm -f -- "$journal.new" "$journal"
    fi
    step forgotten
}

# Sets the way back of service $1, which is about to get generation $2: what is there now; while the restarts of an
# earlier session are not through, what was there before the first of those. $3 are the generations that the ledger
# names for this host, or `any`. Whatever else is there has perhaps no records any more, so from there no way leads
# back, nor to other files of the same generation, unless $3 says `same`: then the new ones stay. Where nothing lay here before nothing could
# refer to it: a daemon that is to read it cannot start without it, so it stays too, and `.first` says so until the
# restarts of a session that brought it are through.
remember() {
    find_current "$1"
    way_back=$current
    kept=
    # An adopted site has a real folder. `mv` cannot swap a folder and a link, so for a moment there is no `curr`;
    # `repair` restores it when we die here.
    if [ -d "$1/curr" ] && [ ! -L "$1/curr" ]; then way_back=.generations/adopted.$number; fi
    case "$newline$unfinished$newline" in
    *"$newline$1$newline"*)
        if [ -e "$1/.prev" ]; then
            kept=$(readlink -- "$1/.prev")
            way_back=$kept
        elif [ -d "$1/.first" ]; then
            way_back=
        fi
        ;;
    esac
    if [ -z "$way_back" ]; then
        rm -f -- "$1/.prev"
        [ -d "$1/.first" ] || mkdir -- "$1/.first"
        tell "first $1"
        return 0
    fi
    forget_first "$1"
    generation=${way_back#.generations/}
    generation=${generation%%.*}
    case " $3 " in
    *" any "* | *" ${generation:-nothing} "*)
        case "$generation $3 " in
        "$2 "*" same "*) ;;
        "$2 "*) way_back=.generations/$2.$number ;;
        esac
        ;;
    *) way_back=.generations/$2.$number ;;
    esac
    if [ "$way_back" != "$kept" ]; then ln -sfn -- "$way_back" "$1/.prev"; fi
}

forget_first() {
    if [ -d "$1/.first" ]; then rmdir -- "$1/.first"; fi
}

switch() {
    phase=switching
    while IFS=$tab read -r kind first second third fourth; do
        [ "$kind" = service ] || continue
        step "switch $second"
        remember "$second" "$third" "$fourth"
        printf '%s\n' "$second" >>"$stage/switched"
        if [ -d "$second/curr" ] && [ ! -L "$second/curr" ]; then
            mv -T -- "$second/curr" "$second/.generations/adopted.$number"
        fi
        mv -fT -- "$stage/links/${first##*/}" "$second/curr"
        tell "switched $second $third"
        step "switched $second"
    done <"$stage/manifest"
    while IFS=$tab read -r kind first second third; do
        [ "$kind" = include ] || continue
        step "include $second"
        hidden=${second%/*}/.${second##*/}.prev
        if [ -f "$second" ]; then ln -f -- "$second" "$hidden"; else rm -f -- "$hidden"; fi
        printf '%s\n' "$second" >>"$stage/included"
        mv -fT -- "$stage/$first" "$second"
        tell "included $second"
        step "included $second"
    done <"$stage/manifest"
    flush_all
    phase=switched
}

point_at_previous() {
    rm -f -- "$1/.curr.new" &&
        ln -s -- "$(readlink -- "$1/.prev")" "$1/.curr.new" &&
        mv -fT -- "$1/.curr.new" "$1/curr"
}

# Goes on after a failure: the more that is as it was, the better. Called where `set -e` does not count. What has nothing
# to go back to stays; `returned` and `stayed` say whether there was any of either.
go_back() {
    phase=returning
    lost=0
    returned=0
    stayed=0
    while IFS= read -r name; do
        step "return $name"
        if [ -e "$name/.prev" ]; then
            returned=1
            if point_at_previous "$name"; then tell "returned $name"; else lost=1; fi
        else
            stayed=1
        fi
        step "returned $name"
    done <"$stage/switched"
    while IFS= read -r name; do
        hidden=${name%/*}/.${name##*/}.prev
        step "return $name"
        if [ -f "$hidden" ]; then
            returned=1
            mv -f -- "$hidden" "$name" || lost=1
        else
            stayed=1
        fi
        step "returned $name"
    done <"$stage/included"
    flush_all
    return "$lost"
}

# One command of one class. The daemon it may start must not inherit our lock, our pipes, our umask or our traps.
run_command() {
    step "restart $1"
    code=0
    limit=
    if command -v timeout >/dev/null; then limit="timeout 300"; fi
    (
        trap - PIPE HUP EXIT
        umask "$inherited_umask"
        cd /
        exec 9>&-
        # shellcheck disable=SC2086
        exec $limit sh "$2"
    ) </dev/null >"$stage/output" 2>&1 || code=$?
    if [ "$code" = 0 ]; then
        tell "restarted $1"
    else
        tell "restart-failed $1 $code"
        tail -n 10 "$stage/output" | cut -c 1-400 | sed 's/^/output /' 2>/dev/null || :
    fi
    step "restarted $1"
    return "$code"
}

restart() {
    while IFS=$tab read -r kind first second third; do
        [ "$kind" = restart ] || continue
        printf '%s\t%s\n' "$first" "$second" >>"$stage/attempted"
        run_command "$first" "$stage/$second" || return 1
    done <"$stage/manifest"
}

# Every command that ran with the new files runs once more with the old ones, even when another one fails.
restart_again() {
    again=0
    while IFS=$tab read -r class file; do
        run_command "$class" "$stage/$file" || again=1
    done <"$stage/attempted"
    return "$again"
}

# Whether there was something, and none of it had anything to go back to: then the same files need no other restart.
all_stayed() { [ "$stayed" = 1 ] && [ "$returned" = 0 ]; }

finish() {
    while IFS= read -r name; do forget_first "$name"; done <"$stage/names"
    end_journal
    sweep
    flush_all
    phase=finished
}

put() {
    unpack
    place
    begin_journal
    switch
    xargs -r sh -c 'for name; do printf "%s\0" "$name"/curr/*; done' sh <"$stage/names" | tell_files
    if restart; then
        finish
    else
        result=25
        if ! go_back; then
            :
        elif all_stayed; then
            result=27
        elif restart_again; then
            result=24
            finish
        fi
    fi
}

# The port did not show what it should after a put of the same number: the list of that session comes again.
back() {
    unpack
    cat -- "$stage/names" >"$stage/switched"
    while IFS=$tab read -r kind first second third; do
        case $kind in
        include) printf '%s\n' "$second" >>"$stage/included" ;;
        restart) printf '%s\t%s\n' "$first" "$second" >>"$stage/attempted" ;;
        esac
    done <"$stage/manifest"
    begin_journal
    if go_back && { all_stayed || restart_again; }; then finish; else result=25; fi
}

tell "sslops-receiver 1"
tell "clock $(date +%s)"
case $number in '' | *[!0-9]*) refuse 23 "no number" ;; esac
case $root in /*) ;; *) refuse 23 "not an absolute folder" ;; esac

if [ "$operation" = look ]; then
    unfinished=
    if cd -- "$root" 2>/dev/null; then
        read_number
        if is_plain "$journal"; then unfinished=$(head -c 1000000 -- "$journal"); fi
        tell "seq $seen"
        tell_all
    else
        tell "seq 0"
    fi
    tell done
    exit 0
fi

trap 'leave $?' EXIT
take_lock
cd -- "$root"
fence
repair
result=0
case $operation in
ask) tell_all ;;
put) put ;;
back) back ;;
*) refuse 23 "unknown operation" ;;
esac
tell done
exit "$result"
