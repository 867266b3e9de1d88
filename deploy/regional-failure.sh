#!/bin/sh
# A region fails, and three nodes in three regions agree on it: watch it on one machine, with one command.
#
#   deploy/regional-failure.sh              nodes are processes: as root in network namespaces, else on loopback addresses
#   deploy/regional-failure.sh --loopback   on loopback addresses, whoever you are
#   deploy/regional-failure.sh --compose    nodes are containers, by deploy/cluster.yaml
#   deploy/regional-failure.sh --keep       leaves all of it running when the show is over, until Ctrl-C
#   deploy/regional-failure.sh --files DIR  writes keys and files of the three nodes to DIR, and does nothing else
#
# It needs Linux, dig, and python3 or busybox for the web servers; or, with --compose, docker or podman, and dig.
# RHUMB names the program, RHUMB_NET the first three parts of the addresses without containers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
regions="eu us asia"
mode=auto
keep=
files=
while [ $# -gt 0 ]; do
    case "$1" in
    --loopback) mode=loopback ;;
    --compose) mode=compose ;;
    --keep) keep=yes ;;
    --files) files=${2:?--files needs a folder}; shift ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "$0: $1 is not known; see $0 --help" >&2; exit 2 ;;
    esac
    shift
done

say() { printf '%s\n' "$*"; }
title() { printf '\n== %s\n\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# What differs from region to region.
site_of() { case "$1" in eu) echo fra ;; us) echo iad ;; asia) echo sin ;; esac; }
city_of() { case "$1" in eu) echo Frankfurt ;; us) echo Ashburn ;; asia) echo Singapore ;; esac; }
number_of() { case "$1" in eu) echo 1 ;; us) echo 2 ;; asia) echo 3 ;; esac; }
node_address() { echo "$net.1$(number_of "$1")"; }
web_address() { echo "$net.2$(number_of "$1")"; }

# The program: what RHUMB names, what was built here, what is installed; else it is built.
find_rhumb() {
    if [ -n "${RHUMB:-}" ]; then return; fi
    for program in "$here/../target/release/rhumb" "$here/../target/debug/rhumb"; do
        if [ -x "$program" ]; then RHUMB=$program; return; fi
    done
    if RHUMB=$(command -v rhumb); then return; fi
    say "Building rhumb first, which takes some minutes."
    (cd "$here/.." && cargo build --locked --release --bin rhumb)
    RHUMB=$here/../target/release/rhumb
}

# Runs the program on files of a region, whether or not its node runs.
rhumb_for() {
    region=$1
    shift
    case "$mode" in
    compose) $engine run --rm --user "$(id -u):$(id -g)" -v "$run/$region:/etc/rhumb" rhumb "$@" ;;
    *) (cd "$run/$region" && "$RHUMB" "$@") ;;
    esac
}

# Writes the files of all nodes: each has a key of its own, and the pins of the two others.
write_files() {
    for region in $regions; do
        mkdir -p "$run/$region/zones/shared"
        rm -f "$run/$region/cluster.key"
        out=cluster.key
        [ "$mode" != compose ] || out=/etc/rhumb/cluster.key
        rhumb_for "$region" cluster keygen --out "$out" >"$run/$region.keygen"
        sed -n 's/^Its pin: //p' "$run/$region.keygen" >"$run/$region.pin"
    done
    for region in $regions; do
        write_node "$region" >"$run/$region/rhumb.toml"
        for file in shop.toml shared/basics.toml; do
            sed "s/10\.53\.0/$net/" "$here/cluster/zones/$file" >"$run/$region/zones/$file"
        done
        cp "$here/../geodb/demo.mmdb" "$run/$region/geo.mmdb"
        rm -f "$run/$region.keygen"
    done
    rm -f "$run"/*.pin
}

write_node() {
    cat <<END
# Node of the region $1, as deploy/regional-failure.sh wrote it.
[server]
site = "$(site_of "$1")"
listen = ["$(node_address "$1"):$dns_port"]
identity = "$1-1"

[geo]
databases = ["geo.mmdb"]

[admin]
listen = "$(node_address "$1"):8053"
socket = "$socket_folder/rhumb.sock"

[state]
folder = "$state_folder"

[cluster]
name = "demo"
node = "$1-1"
listen = "$(node_address "$1"):7653"
key = "cluster.key"
END
    for peer in $regions; do
        [ "$peer" != "$1" ] || continue
        cat <<END

[[cluster.peer]]
node = "$peer-1"
site = "$(site_of "$peer")"
address = "$(node_address "$peer"):7653"
pins = ["$(cat "$run/$peer.pin")"]
END
    done
}

# Network namespaces: one for each region, on a bridge. Their names have the number of this process.
make_networks() {
    ip link add "rhb$$" type bridge
    ip link set "rhb$$" up
    for region in $regions; do
        space=rhumb-$$-$region
        ip netns add "$space"
        ip link add "rh$$-$(number_of "$region")" type veth peer name eth0 netns "$space"
        ip link set "rh$$-$(number_of "$region")" master "rhb$$" up
        ip -n "$space" address add "$(node_address "$region")/24" dev eth0
        ip -n "$space" address add "$(web_address "$region")/24" dev eth0
        ip -n "$space" link set lo up
        ip -n "$space" link set eth0 up
    done
}

# Runs a command where a region is.
within() {
    region=$1
    shift
    case "$mode" in
    netns) ip netns exec "rhumb-$$-$region" "$@" ;;
    *) "$@" ;;
    esac
}

# Starts a command in the background, and remembers its process.
start() {
    name=$1 region=$2
    shift 2
    case "$mode" in
    netns) ip netns exec "rhumb-$$-$region" "$@" >"$run/$name.log" 2>&1 & ;;
    *) "$@" >"$run/$name.log" 2>&1 & ;;
    esac
    echo $! >"$run/$name.pid"
}

stop() {
    [ -f "$run/$1.pid" ] || return 0
    pid=$(cat "$run/$1.pid")
    rm -f "$run/$1.pid"
    kill "$pid" 2>/dev/null || return 0
    wait "$pid" 2>/dev/null || true
}

start_node() {
    case "$mode" in
    compose) compose up --detach --no-deps "$1" ;;
    *) start "node-$1" "$1" "$RHUMB" serve --config "$run/$1/rhumb.toml" ;;
    esac
}

start_web() {
    case "$mode" in
    compose) compose start "web-$1" 2>/dev/null || compose up --detach --no-deps "web-$1" ;;
    *)
        if command -v python3 >/dev/null; then
            start "web-$1" "$1" python3 -m http.server --bind "$(web_address "$1")" --directory "$here/cluster/www" 8080
        else
            start "web-$1" "$1" busybox httpd -f -p "$(web_address "$1"):8080" -h "$here/cluster/www"
        fi
        ;;
    esac
}

stop_web() {
    case "$mode" in
    compose) compose stop --timeout 0 "web-$1" ;;
    *) stop "web-$1" ;;
    esac
}

# The whole region is gone: in a namespace its cable is pulled, else its node and its web server end.
darken() {
    case "$mode" in
    netns) ip link set "rh$$-$(number_of "$1")" down ;;
    compose) compose stop --timeout 0 "$1" "web-$1" ;;
    *) stop "web-$1" && stop "node-$1" ;;
    esac
}

lighten() {
    case "$mode" in
    netns) ip link set "rh$$-$(number_of "$1")" up ;;
    compose) compose start "$1" "web-$1" ;;
    *) start_web "$1" && start_node "$1" ;;
    esac
}

compose() {
    RHUMB_RUN=$run RHUMB_USER="$(id -u):$(id -g)" $engine compose -f "$here/cluster.yaml" "$@" >>"$run/compose.log" 2>&1
}

# The answer of a node to a client in Frankfurt, as the region that it names.
ask() {
    case "$mode" in
    compose) set -- "$1" 127.0.0.1 "530$(number_of "$1")" ;;
    *) set -- "$1" "$(node_address "$1")" "$dns_port" ;;
    esac
    address=$(within "$1" dig "@$2" -p "$3" www.shop.test A +short +tries=1 +timeout=1 +subnet=198.18.1.0/24 2>/dev/null | head -n 1) || address=
    for region in $regions; do
        [ "$address" != "$(web_address "$region")" ] || { echo "$region"; return; }
    done
    echo nothing
}

show_answers() {
    for node in $1; do
        printf '  dig @%s-1 www.shop.test, client in Frankfurt   ->   %s\n' "$node" "$(ask "$node")"
    done
}

status() {
    case "$mode" in
    compose) RHUMB_RUN=$run RHUMB_USER="$(id -u):$(id -g)" $engine compose -f "$here/cluster.yaml" exec -T "$1" rhumb "$2" ${3:+"$3"} --config /etc/rhumb/rhumb.toml 2>&1 || true ;;
    *) "$RHUMB" "$2" ${3:+"$3"} --config "$run/$1/rhumb.toml" 2>&1 || true ;;
    esac
}

show_cluster() { status "$1" cluster status | sed 's/^/  /'; }

# Hundredths of a second since the machine was started.
centis() { sed 's/^\([0-9]*\)\.\([0-9]*\).*/\1\2/' /proc/uptime; }

# Waits until these nodes answer as `wanted` says, for at most a minute; prints how long each took since `since`.
wait_for() {
    wanted=$1 nodes=$2 since=$3
    for node in $nodes; do rm -f "$run/took-$node"; done
    while :; do
        missing=
        for node in $nodes; do
            [ ! -f "$run/took-$node" ] || continue
            got=$(ask "$node")
            case "$wanted:$got" in
            "$got:$got" | "not eu:us" | "not eu:asia") echo $(($(centis) - since)) >"$run/took-$node" ;;
            *) missing=yes ;;
            esac
        done
        [ -n "$missing" ] || break
        [ $(($(centis) - since)) -lt 6000 ] || fail "In vain waited for answers with $wanted: see $run/*.log"
        sleep 0.05
    done
    for node in $nodes; do
        took=$(cat "$run/took-$node")
        printf '  node %-6s answers with %-4s after %d.%02d s\n' "$node-1" "$(ask "$node")" $((took / 100)) $((took % 100))
    done
}

wait_for_cluster() {
    tries=0
    for node in $1; do
        until status "$node" cluster status | grep -q "$2"; do
            tries=$((tries + 1))
            [ "$tries" -lt 600 ] || fail "The nodes do not find each other: see $run/*.log"
            sleep 0.1
        done
    done
}

# Waits until all three web servers are up at these nodes, hold-downs included.
wait_for_health() {
    tries=0
    for node in $1; do
        until [ "$(status "$node" status | grep -c '/web .* up  ')" = 3 ]; do
            tries=$((tries + 1))
            [ "$tries" -lt 600 ] || fail "Not all web servers are up: see $run/*.log"
            sleep 0.1
        done
    done
}

end() {
    trap - EXIT INT TERM
    case "$mode" in
    compose) compose down --timeout 1 --volumes || true ;;
    *) for region in $regions; do stop "node-$region"; stop "web-$region"; done ;;
    esac
    if [ "$mode" = netns ]; then
        for region in $regions; do ip netns delete "rhumb-$$-$region" 2>/dev/null || true; done
        ip link delete "rhb$$" 2>/dev/null || true
    fi
    rm -rf "$run"
}

# Who is there to run it all.
if [ "$mode" = compose ]; then
    engine=$(command -v docker || command -v podman) || fail "--compose needs docker or podman"
    net=10.53.0 dns_port=53 socket_folder=/tmp state_folder=/tmp/state
else
    find_rhumb
    case "$RHUMB" in /*) ;; *) RHUMB=$(pwd)/$RHUMB ;; esac
    if [ "$mode" = auto ]; then
        mode=loopback
        if [ "$(id -u)" = 0 ] && ip netns add "rhumb-$$-try" 2>/dev/null; then
            ip netns delete "rhumb-$$-try"
            mode=netns
        fi
    fi
    if [ "$mode" = netns ]; then net=${RHUMB_NET:-198.19.54}; else net=${RHUMB_NET:-127.53.0}; fi
    dns_port=5300 socket_folder=. state_folder=state
fi
if [ -n "$files" ]; then
    mkdir -p "$files"
    run=$(cd "$files" && pwd)
    write_files
    exit 0
fi
command -v dig >/dev/null || fail "It needs dig (package bind9-dnsutils, bind-utils or bind-tools)."
[ "$mode" = compose ] || command -v python3 >/dev/null || command -v busybox >/dev/null ||
    fail "It needs python3 or busybox for the web servers."
run=$(mktemp -d)
trap end EXIT
trap 'exit 130' INT TERM

title "Three regions: eu in Frankfurt, us in Ashburn, asia in Singapore"
case "$mode" in
netns) say "Each is a network namespace with a name server and a web server in it." ;;
loopback) say "Each is a name server and a web server, on addresses of their own below $net." ;;
compose) say "Each is two containers, a name server and a web server." && $engine compose -f "$here/cluster.yaml" build ;;
esac
say "All name servers probe all web servers, once a second, and share what they see."
[ "$mode" != netns ] || make_networks
write_files
if [ "$mode" = compose ]; then
    compose up --detach
else
    for region in $regions; do start_web "$region" && start_node "$region"; done
fi
wait_for_cluster "$regions" "3 of 3 nodes live"
wait_for_health "$regions"
for region in $regions; do printf '  %-5s node %s, web server %s\n' "$region" "$(node_address "$region")" "$(web_address "$region")"; done
say ""
show_answers "$regions"
say ""
say "rhumb cluster status, at eu-1:"
show_cluster eu

title "The web servers in eu fail"
say "An endpoint is down after 3 failed probes in a row, if most sites say so: 3 x 1 s, 0.5 s for the"
say "last probe, and at most 1.5 s for the nodes to agree. Now:"
say ""
now=$(centis)
stop_web eu
wait_for "not eu" "$regions" "$now"
say ""
say "rhumb events, at asia-1, which is where nothing failed:"
status asia events | grep 'eu/web' | tail -n 1 | sed 's/^ */  /'

title "They are back"
now=$(centis)
start_web eu
wait_for eu "$regions" "$now"
wait_for_health "$regions"

title "Now all of eu goes dark, with its name server"
now=$(centis)
darken eu
wait_for "not eu" "us asia" "$now"
wait_for_cluster "us" "2 of 3 nodes live"
say ""
say "rhumb cluster status, at us-1:"
show_cluster us
if [ "$mode" = netns ]; then
    say ""
    say "eu-1 still runs, behind its cut cable. It hears nobody, one site of three decides nothing, so it holds"
    say "what was known, and answers those who still reach it:"
    say ""
    show_answers eu
    show_cluster eu
fi

title "The region is back"
now=$(centis)
lighten eu
wait_for eu "us asia" "$now"
wait_for eu eu "$now"
wait_for_cluster "$regions" "3 of 3 nodes live"
wait_for_health "$regions"
say ""
show_cluster asia

if [ -n "$keep" ]; then
    title "It goes on until you press Ctrl-C"
    for region in $regions; do
        case "$mode" in
        compose) say "  dig @127.0.0.1 -p 530$(number_of "$region") www.shop.test +short +subnet=198.18.1.0/24" ;;
        netns) say "  ip netns exec rhumb-$$-$region dig @$(node_address "$region") -p $dns_port www.shop.test +short +subnet=198.18.1.0/24" ;;
        *) say "  dig @$(node_address "$region") -p $dns_port www.shop.test +short +subnet=198.18.1.0/24" ;;
        esac
    done
    [ "$mode" = compose ] || say "  $RHUMB cluster status --config $run/eu/rhumb.toml"
    while :; do sleep 3600 & wait $!; done
fi
say ""
say "That was all. Nothing of it is left running."
