# Runs inside the container after scenario.py, each by its one command: tables that are lost and restored, before an upgrade
# that brings a migration and after it; a rollback on the newer tables and on those of before, and the way forth again; and
# an uninstall. Prints a line for each thing that is as it should be.
set -eu

NEXT=9.9.9

expect() {
    local sentence=$1
    shift
    if ! "$@"; then
        printf 'NOT SO: %s\n' "$sentence"
        exit 1
    fi
    printf 'ok  %s\n' "$sentence"
}

in_use() { readlink /opt/paypoll/.venv; }
version_is() { [ "$(paypoll --version)" = "paypoll, version $1" ]; }
timer_is_on() { systemctl --quiet is-active paypoll.timer && systemctl --quiet is-enabled paypoll.timer; }
run_goes_well() { systemctl start paypoll.service && [ "$(systemctl show --value -p Result paypoll.service)" = success ]; }
tables_are() { paypoll db status | grep -q "version $1"; }

as_owner() { PAYPOLL_AS=postgres PAYPOLL_DATABASE__URL=postgresql:///shop paypoll "$@"; }
fulfilled() { sudo -u postgres psql -qAtc 'SELECT count(*) FROM paypoll.fulfilment' shop; }

# paypoll's tables are lost, and come back from a backup with the rights on them.
lose_and_restore() {
    systemctl stop paypoll.timer paypoll.path
    backup=$(paypoll db backup)
    expect "$1: a backup is a file that only its user may read" [ "$(stat -c '%a %U' "$backup")" = "600 paypoll" ]
    before=$(fulfilled)
    expect "$1: there is something to lose" [ "$before" -gt 0 ]
    sudo -u postgres psql -qc 'DROP SCHEMA paypoll CASCADE' shop
    expect "$1: no run begins without them" eval '! run_goes_well'
    expect "$1: the check names what brings them back" eval 'paypoll check | grep -q "db restore"'
    systemctl reset-failed
    as_owner db restore --yes - <"$backup" || exit 1
    expect "$1: what was fulfilled is on record again" [ "$(fulfilled)" = "$before" ]
    expect "$1: a run goes well, with the rights of before" run_goes_well
    systemctl start paypoll.timer paypoll.path
}

# A next release with a table more.
make_next() {
    cp -a /paypoll-release /var/tmp/next
    cd /var/tmp/next
    head=$(sed -n 's/^HEAD = "\(.*\)"$/\1/p' src/paypoll/state/upgrade.py)
    sed -i "s/^HEAD = .*/HEAD = \"9999\"/" src/paypoll/state/upgrade.py
    sed -i "s/^__version__ = .*/__version__ = \"$NEXT\"/" src/paypoll/__init__.py
    cat >src/paypoll/state/migrations/versions/v9999_trial.py <<END
"""A table for the trial."""

from alembic import op

revision = "9999"
down_revision = "$head"


def upgrade() -> None:
    op.execute("CREATE TABLE paypoll.trial (id bigint PRIMARY KEY)")
END
    printf '\n\ntrial = sa.Table("trial", metadata, sa.Column("id", Id, primary_key=True))\n' >>src/paypoll/state/tables.py
    sed -i 's/^OWN_NEEDS: .* = ($/&\n    Need("paypoll.trial", Right.SELECT),/' src/paypoll/state/rights.py
}

as_psql() { sudo -u postgres psql -qAtc "$1" shop; }
role_may() { [ "$(as_psql "SELECT has_any_column_privilege('$1', '$2', '$3')")" = t ]; }

# What a killed `paypoll` leaves behind of the owner's address.
PAYPOLL_PROGRAM=/bin/sleep paypoll 5 &
sleep 2
expect "a command that has begun has no file with its settings" eval 'ls -d /run/paypoll-by-hand.* &&
    ! ls /run/paypoll-by-hand.*/environment 2>/dev/null'
wait
expect "nor anything else, when it has ended" eval '! ls -d /run/paypoll-by-hand.* 2>/dev/null'

# As 0.1.0's README had it: a folder of pip's where the link is now.
make_folder() {
    link=$(in_use)
    rm -f /opt/paypoll/.venv /opt/paypoll/.venv-before
    mv "/opt/paypoll/$link" /opt/paypoll/.venv
    find /opt/paypoll/.venv/bin -type f -exec sed -i "1s|^#!/opt/paypoll/$link/|#!/opt/paypoll/.venv/|" {} +
}

first=$(in_use)
was=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' /paypoll-release/src/paypoll/__init__.py)
make_next
systemctl start paypoll.timer # the scenario had it stopped

lose_and_restore "before the migration"

mv /etc/paypoll/setup.env /var/tmp/setup.env # as if nobody knew the owner
expect "an upgrade that needs the database's owner says so" eval '! scripts/install >/var/tmp/refused 2>&1'
expect "it names the command to paste" grep -q 'PAYPOLL_AS=postgres' /var/tmp/refused
expect "nothing was changed" [ "$(in_use)" = "$first" ]
expect "the timer is on" timer_is_on

paypoll db grants --refunds | sudo -u postgres psql --quiet --set=ON_ERROR_STOP=1 shop
paypoll db grants --read-only | sudo -u postgres psql --quiet --set=ON_ERROR_STOP=1 shop
cp -a /etc/paypoll/config.toml /var/tmp/config.toml
sed -i 's/^\[site\]/[site]\nno_such_setting = 1/' /etc/paypoll/config.toml
expect "settings that the new version does not take are named" eval '! scripts/install >/var/tmp/refused 2>&1 &&
    grep -q no_such_setting /var/tmp/refused && ! grep -q "new tables" /var/tmp/refused'
expect "nothing was changed" [ "$(in_use)" = "$first" ]
cp -a /var/tmp/config.toml /etc/paypoll/config.toml
# As if the upgrade had been killed between the tables and the rights on them.
PAYPOLL_PROGRAM=$(echo /opt/paypoll/venv-$NEXT-*)/bin/paypoll as_owner db upgrade || exit 1
expect "tables without the rights on them are told" eval '! scripts/install >/var/tmp/refused 2>&1 &&
    grep -q "may not SELECT paypoll.trial" /var/tmp/refused && grep -q "PAYPOLL_AS=postgres" /var/tmp/refused'
expect "by the owner's address alone as well" eval '! PAYPOLL_DATABASE__URL=postgresql:///shop scripts/install >/var/tmp/refused 2>&1'
expect "the version in use is as it was" [ "$(in_use)" = "$first" ]
expect "it works on the newer tables" run_goes_well
expect "the timer is on" timer_is_on

make_folder
first=venv-by-pip

mv /var/tmp/setup.env /etc/paypoll/setup.env
scripts/install >/var/tmp/upgraded 2>&1 || { cat /var/tmp/upgraded; exit 1; }
expect "the new version is in use" version_is $NEXT
expect "its tables are there" tables_are 9999
expect "the timer is on" timer_is_on
expect "a run goes well" run_goes_well
expect "refunds may be written as before" role_may paypoll orders_refund INSERT
expect "colleagues may look at the new table" role_may paypoll_read paypoll.trial SELECT

expect "the upgrade has backed the tables up before" eval 'ls /var/backups/paypoll/paypoll-*-before-9999.zip'
lose_and_restore "after the migration"

expect "again is harmless" scripts/install
expect "the same version is in use" version_is $NEXT
expect "the timer is on" timer_is_on

sed -i 's/^\[site\]/[site]\nno_such_setting = 1/' /etc/paypoll/config.toml
expect "a rollback names settings that the older version does not take, and no restore" eval '
    ! scripts/install --rollback >/var/tmp/refused 2>&1 &&
    grep -q no_such_setting /var/tmp/refused && ! grep -q as-it-was /var/tmp/refused'
cp -a /var/tmp/config.toml /etc/paypoll/config.toml

# As 0.1.0, which knows no pauses.
older=/opt/paypoll/$first/bin/paypoll
mv "$older" "$older-itself"
printf '#!/bin/sh\n[ "$1" != pause ] || exit 2\nexec %s "$@"\n' "$older-itself" >"$older"
chmod 0755 "$older"
paypoll pause --all --reason "the trial"
expect "a rollback to a version without pauses names what is paused" eval '
    ! scripts/install --rollback >/var/tmp/refused 2>&1 && grep -q "all orders, by .*: the trial" /var/tmp/refused'
expect "nothing was changed" version_is $NEXT
expect "the timer is on" timer_is_on
paypoll resume --all
mv "$older-itself" "$older"

expect "one command goes back" scripts/install --rollback
expect "the version before is in use" [ "$(in_use)" = "$first" ]
expect "it says so" version_is "$was"
expect "it works on the newer tables" run_goes_well
expect "the timer is on" timer_is_on
expect "the same command goes forth again" scripts/install --rollback
expect "the new version is in use again" version_is $NEXT

# A step back that was too large for the newer tables: those of before, from the backup that the upgrade made.
systemctl stop paypoll.timer paypoll.path
as_owner db restore --replace --as-it-was --yes /var/backups/paypoll/paypoll-*-before-9999.zip || exit 1
expect "the tables of before are back" tables_are "$head"
expect "the newer version does not run on them" eval '! run_goes_well'
systemctl reset-failed
expect "one command goes back to them" scripts/install --rollback
expect "it works on them" run_goes_well
expect "the newer one does not go on without its tables" eval '! scripts/install --rollback'
expect "nothing was changed" [ "$(in_use)" = "$first" ]
expect "an upgrade brings them again" scripts/install
expect "the new version is in use again" version_is $NEXT
expect "its tables are there" tables_are 9999
expect "a run goes well" run_goes_well
systemctl start paypoll.timer paypoll.path

expect "without a terminal nothing is taken away" eval '! scripts/install --uninstall </dev/null'
expect "the program is there" [ -x /usr/local/sbin/paypoll ]
expect "one command takes all away" scripts/install --uninstall --yes
left() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /var/tmp -o -path /tmp -o -path /root -o -path '/paypoll-*' \
        -o -path /var/log/journal -o -path /run/systemd -o -path /var/backups/paypoll \) -prune -o -iname '*paypoll*' -print
    getent passwd paypoll || true
    getent group paypoll paypoll-ask || true
    systemctl list-units --all --no-legend --type=service,timer,path 'paypoll*'
}
left >/var/tmp/left
cat /var/tmp/left
expect "nothing of it is left on the machine" [ ! -s /var/tmp/left ]
expect "but the backups, as it says" ls /var/backups/paypoll
expect "and the audit trail" sudo -u postgres psql -qAtc 'SELECT 1 FROM paypoll.audit LIMIT 1' shop

# The other way to install: pip, and the units by the program itself.
python3 -m venv /opt/paypoll/.venv
PIP_CONSTRAINT=constraints.txt /opt/paypoll/.venv/bin/pip install --quiet --disable-pip-version-check /paypoll-release
/opt/paypoll/.venv/bin/paypoll setup --units
expect "pip and setup --units bring the wrapper" version_is "$was"
expect "the units" systemctl cat --no-pager paypoll.service paypoll.timer paypoll.path paypoll-failure.service
expect "the user, the folders, manual, Tab key and rotation" eval 'id paypoll && [ -d /etc/paypoll ] &&
    [ -s /usr/local/share/man/man1/paypoll.1 ] && [ -s /etc/bash_completion.d/paypoll ] && [ -s /etc/logrotate.d/paypoll ]'
expect "the timer is off" eval '! systemctl --quiet is-enabled paypoll.timer'
expect "the same command takes all away" scripts/install --uninstall --yes
left >/var/tmp/left
expect "nothing of it is left on the machine" [ ! -s /var/tmp/left ]
