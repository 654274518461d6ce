# Runs inside the container: a shop on PostgreSQL, then the guide's commands as they stand there, and the sandbox in
# place of SumUp and the mail server as soon as there is a paypoll that has one.
echo "127.0.1.1 $(uname -n)" >>/etc/hosts
cd /paypoll-release

sudo -u postgres createdb shop
sudo -u postgres psql --quiet --set=ON_ERROR_STOP=1 shop <tests/shop_schema.sql
install -d -o www-data -g www-data -m 0755 /srv/shop /srv/shop/media

# On a real machine these are there already.
paypoll() {
    if [ "$1" = check ]; then
        systemd-run --quiet --unit=sandbox --working-directory=/var/tmp \
            /opt/paypoll/.venv/bin/paypoll sandbox --mails /var/tmp/mails
        timeout 20 bash -c 'until (: </dev/tcp/127.0.0.1/8425) 2>/dev/null; do sleep 0.2; done'
        . /paypoll-test/folders.sh
        # The timer is not enabled yet, and the check says so by its exit status.
        command paypoll check || true
        return
    fi
    command paypoll "$@"
}

. /paypoll-test/install.sh
