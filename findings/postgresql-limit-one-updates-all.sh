#!/usr/bin/env bash
# PostgreSQL 15: `update .. where id in (select .. limit 1 for update skip locked)` can update every row of the table.
#
# It is the usual line for taking the next job of a queue. The subquery of an IN is a table to join with, and where the planner takes the
# outer table for very small it joins by a nested loop and runs the subquery once for each outer row. A subquery that locks rows sees what
# this command has already changed, skips it, and hands out the next row: 100 outer rows, 100 different answers of one row each. It takes
# no setting, only statistics from the time when the table was small, and shows after months in which the same line did what it says; as
# soon as the table is analyzed it is right again. `= (select .. limit 1 ..)` and a CTE marked `materialized` are run once, always.
#
# Seen: PostgreSQL 15.18 with its default settings, 100 rows, statistics of 1 row: `in` updates 100, `=` and the CTE 1, `in` after ANALYZE
# 1. Needs PostgreSQL's server programs of version 15; five seconds. Fails if that changes.
set -euo pipefail
bin=/usr/lib/postgresql/15/bin
[ -x $bin/initdb ] || { echo "skipped: no server programs of PostgreSQL 15"; exit 0; }
folder=$(mktemp -d); server=()
stop() {
    "${server[@]}" $bin/pg_ctl -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
# The server refuses to run as root.
if [ "$(id -u)" = 0 ]; then server=(setpriv --reuid=nobody --regid=nogroup --clear-groups); chown nobody "$folder"; fi
cd "$folder"
"${server[@]}" $bin/initdb -D "$folder/data" -U reader -A trust -N >/dev/null
"${server[@]}" $bin/pg_ctl -D "$folder/data" -w -l "$folder/log" \
    -o "-c listen_addresses= -c unix_socket_directories=$folder" start >/dev/null
sql() { $bin/psql -h "$folder" -U reader -d postgres -X -A -t -v ON_ERROR_STOP=1 -c "$@"; }
sql 'show server_version' | sed 's/^/PostgreSQL /'
sql 'create table mails (id bigint primary key, is_taken bool not null default false) with (autovacuum_enabled = off)' >/dev/null
sql 'insert into mails values (1)' >/dev/null
sql 'analyze mails' >/dev/null
sql 'insert into mails select n from generate_series(2, 100) as n' >/dev/null
next='select id from mails where not is_taken order by id limit 1 for update skip locked'
# Runs a command, says how many rows it changed, and takes it back. What was taken back still fills the table's file, whose size the
# planner knows: the first command is the one that meets a table of one page.
try() {
    echo "$1: $(sql 'begin' -c "$2" -c 'rollback' | grep UPDATE)"
}
seen=$(
    try 'in' "update mails set is_taken = true where id in ($next)"
    try '=' "update mails set is_taken = true where id = ($next)"
    try 'materialized' "with taken as materialized ($next) update mails set is_taken = true where id in (select id from taken)"
    sql 'analyze mails' >/dev/null
    try 'in, after analyze' "update mails set is_taken = true where id in ($next)"
)
echo "$seen"
[ "$seen" = "in: UPDATE 100
=: UPDATE 1
materialized: UPDATE 1
in, after analyze: UPDATE 1" ]
echo "as described: with old statistics a limit of one row updates all"
