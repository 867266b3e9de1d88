#!/usr/bin/env bash
# Asks zonemaster-cli for its opinion of a zone that we serve: nothing worse than a NOTICE.
#
#     tests/judges/zonemaster.sh target/debug/rhumb
#
# Runs in a network namespace of its own, where every address is on the loopback and port 53 is free: a root and a parent
# zone (served by Knot) delegate zone.test to two servers of ours. Prints "skipped: why" where that cannot be.
#
# Left out, as they ask the public internet or what this zone is not:
#   Connectivity/connectivity03  AS numbers of the servers, from a public service
#   Address/address02, address03 reverse names of the servers' addresses, which nobody delegated
#   DNSSEC                       the zone is not signed
set -euo pipefail

skip() { echo "skipped: $1"; exit 0; }
PATH=$PATH:/usr/sbin:/sbin
rhumb=$(realpath "$1")
for tool in zonemaster-cli knotd unshare ip; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
if [ "${2:-}" != inside ]; then
  unshare -rnm true 2>/dev/null || skip "this machine allows no network namespace"
  exec unshare -rnm bash "$0" "$rhumb" inside
fi

folder=$(mktemp -d)
started=()
finish() {
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"

# Addresses outside the special ranges, which zonemaster would object to; they lead nowhere from here.
ip link set lo up
for address in 45.10.1.1 45.20.1.53 45.30.2.53; do ip address add "$address/32" dev lo; done

cat >root.zone <<'Z'
$TTL 86400
. SOA a.root. hostmaster.root. 1 1800 900 604800 86400
. NS a.root.
a.root. A 45.10.1.1
test. NS a.root.
root. NS a.root.
Z
cat >test.zone <<'Z'
$TTL 86400
$ORIGIN test.
@ SOA a.root. hostmaster.root. 1 1800 900 604800 86400
@ NS a.root.
zone NS ns1.zone
zone NS ns2.zone
ns1.zone A 45.20.1.53
ns2.zone A 45.30.2.53
Z
cat >root-server.zone <<'Z'
$TTL 86400
$ORIGIN root.
@ SOA a hostmaster 1 1800 900 604800 86400
@ NS a
a A 45.10.1.1
Z
cat >knot.conf <<Z
server:
  rundir: "$folder"
  listen: 45.10.1.1@53
log:
  - target: stderr
    any: error
database:
  storage: "$folder"
template:
  - id: default
    storage: "$folder"
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
  - domain: .
    file: root.zone
  - domain: test.
    file: test.zone
  - domain: root.
    file: root-server.zone
Z
printf '. 3600000 NS a.root.\na.root. 3600000 A 45.10.1.1\n' >hints

mkdir zones
cat >zones/zone.test.zone <<'Z'
$TTL 86400
$ORIGIN zone.test.
@ SOA ns1 hostmaster 2026112101 14400 3600 1209600 3600
@ NS ns1
@ NS ns2
@ MX 10 mail
@ TXT "v=spf1 mx -all"
ns1 A 45.20.1.53
ns2 A 45.30.2.53
mail A 45.20.1.25
www A 45.20.1.80
Z
printf '[server]\nlisten = ["45.20.1.53:53", "45.30.2.53:53"]\n[admin]\nsocket = "%s/rhumb.sock"\n' "$folder" >rhumb.toml

knotd -c knot.conf >knot.log 2>&1 &
started+=($!)
"$rhumb" serve --config rhumb.toml >rhumb.log 2>&1 &
started+=($!)
answers() { "$rhumb" status --config rhumb.toml >/dev/null 2>&1 && [ -e knot.sock ]; }
for _ in $(seq 200); do answers && break; sleep 0.05; done
answers || { cat knot.log rhumb.log; echo "a server does not start"; exit 1; }

tests=(Basic Connectivity/connectivity01 Connectivity/connectivity02 Consistency Delegation Nameserver Syntax Zone
  Address/address01)
chosen=()
for test in "${tests[@]}"; do chosen+=(--test "$test"); done
status=0
zonemaster-cli --hints hints --no-ipv6 --level NOTICE --show-testcase --no-progress --no-time \
  "${chosen[@]}" zone.test >opinion 2>errors || status=$?
cat opinion
if [ "$status" != 0 ]; then cat errors; echo "zonemaster-cli ended with $status"; exit 1; fi
if grep -qE '^(WARNING|ERROR|CRITICAL)' opinion; then echo "zonemaster objects"; exit 1; fi
echo "zonemaster: ${#tests[@]} modules and test cases, nothing worse than a NOTICE"
