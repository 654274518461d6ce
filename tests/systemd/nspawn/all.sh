# Runs inside the container: a shop on PostgreSQL, then the guide's commands as they stand there, with the answers that
# an operator has, and the sandbox in place of SumUp and the mail server as soon as there is a paypoll that has one.
echo "127.0.1.1 $(uname -n)" >>/etc/hosts
cd /paypoll-release
. /paypoll-test/shop.sh
(umask 077; echo sup_sk_sandbox >/etc/shop-sumup-key)

paypoll() {
    if [ "$1" != setup ]; then
        command paypoll "$@"
        return
    fi
    echo "INSTALLED after $SECONDS s"
    # On a real machine these are there already.
    systemctl start shop.service
    systemd-run --quiet --unit=sandbox --working-directory=/var/tmp \
        /opt/paypoll/.venv/bin/paypoll sandbox --mails /var/tmp/mails
    timeout 60 bash -c 'until (: </dev/tcp/127.0.0.1/8425) 2>/dev/null; do sleep 0.2; done'
    SECONDS=0
    command paypoll setup --answers /paypoll-test/answers.toml --yes
    echo "SET UP after $SECONDS s"
}

SECONDS=0
. /paypoll-test/install.sh
# Once more as a person does it, who changes one thing.
/opt/paypoll/.venv/bin/python /paypoll-test/typed.py
