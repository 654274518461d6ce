"""Whom a refusal is about, by what mail servers really say."""

import pytest

from paypoll.mail.refusal import About, Step, enhanced_code, whom_it_is_about

REPLIES: dict[str, tuple[Step, str, About]] = {
    # Amazon SES
    "ses-not-verified": (
        Step.MESSAGE,
        (
            "554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "EU-WEST-1: tickets@shop.example"
        ),
        About.US,
    ),
    "ses-suspended": (Step.MESSAGE, "554 Message rejected: Sending suspended for this account.", About.US),
    "ses-paused": (
        Step.MESSAGE,
        "554 Message rejected: Sending paused for this account. For more information, please check the inbox",
        About.US,
    ),
    "ses-policy": (
        Step.MESSAGE,
        "554 Access denied: User `arn:aws:iam::1:user/x' is not authorized to perform `ses:SendRawEmail' on resource",
        About.US,
    ),
    "ses-login": (Step.AUTH, "535 Authentication Credentials Invalid", About.US),
    "ses-no-login": (Step.MAIL, "530 Authentication required", About.US),
    "ses-rate": (Step.MESSAGE, "454 Throttling failure: Maximum sending rate exceeded.", About.NOW),
    "ses-daily": (Step.MESSAGE, "454 Throttling failure: Daily message quota exceeded.", About.NOW),
    "ses-size": (Step.MESSAGE, "552 Message is too long.", About.MESSAGE),
    "ses-headers": (Step.MESSAGE, "554 Transaction failed: Duplicate header 'Subject'.", About.DOUBTFUL),
    # Gmail
    "gmail-no-user": (
        Step.RCPT,
        (
            "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking "
            "the recipient's email address for typos or\n550 5.1.1 unnecessary spaces."
        ),
        About.RECIPIENT,
    ),
    "gmail-disabled": (
        Step.RCPT,
        "550 5.2.1 The email account that you tried to reach is disabled.",
        About.RECIPIENT,
    ),
    "gmail-over-quota": (
        Step.RCPT,
        "552 5.2.2 The recipient's inbox is out of storage space and inactive, over the daily quota.",
        About.RECIPIENT,
    ),
    "gmail-full": (
        Step.RCPT,
        "452 4.2.2 The email account that you tried to reach is over quota.",
        About.NOW_RECIPIENT,
    ),
    "gmail-quota": (Step.RCPT, "550 5.4.5 Daily user sending limit exceeded.", About.US),
    "gmail-quota-after-data": (Step.MESSAGE, "550 5.4.5 Daily user sending quota exceeded.", About.US),
    "gmail-login": (Step.AUTH, "535 5.7.8 Username and Password not accepted.", About.US),
    "gmail-relay": (Step.MAIL, "550 5.7.1 Invalid credentials for relay [192.0.2.1].", About.US),
    "gmail-spam": (
        Step.MESSAGE,
        "550 5.7.1 Our system has detected that this message is likely unsolicited mail.",
        About.DOUBTFUL,
    ),
    "gmail-unauthenticated": (
        Step.MESSAGE,
        "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
        About.DOUBTFUL,
    ),
    "gmail-attachment": (
        Step.MESSAGE,
        "552 5.7.0 This message was blocked because its content presents a potential security issue.",
        About.DOUBTFUL,
    ),
    "gmail-size": (Step.MESSAGE, "552 5.3.4 Your message exceeded Google's message size limits.", About.MESSAGE),
    "gmail-size-2018": (Step.MESSAGE, "552 5.2.3 Your message exceeded Google's message size limits.", About.MESSAGE),
    "gmail-headers": (Step.MESSAGE, "550 5.6.0 Mail message is malformed. Not accepted.", About.MESSAGE),
    "gmail-rate": (Step.GREETING, "421 4.7.0 Try again later, closing connection.", About.NOW),
    # Office 365 (Exchange Online)
    "o365-send-as": (
        Step.MESSAGE,
        (
            "554 5.2.252 SendAsDenied; bot@shop.example not allowed to send as tickets@shop.example; "
            "STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied"
        ),
        About.US,
    ),
    "o365-send-as-2016": (
        Step.MESSAGE,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        About.US,
    ),
    "o365-recipients-a-day": (
        Step.MESSAGE,
        "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
        About.US,
    ),
    "o365-bad-sender": (Step.MESSAGE, "550 5.1.8 Access denied, bad outbound sender AS(42004)", About.US),
    "o365-quota": (
        Step.MESSAGE,
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; the quota was exceeded",
        About.US,
    ),
    "o365-login": (
        Step.AUTH,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        About.US,
    ),
    "o365-anonymous": (Step.MAIL, "530 5.7.57 Client not authenticated to send mail.", About.US),
    "o365-relay": (Step.RCPT, "550 5.7.64 TenantAttribution; Relay Access Denied [ValidationStatus]", About.US),
    "o365-no-user": (
        Step.RCPT,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        About.RECIPIENT,
    ),
    "o365-no-user-at-the-edge": (
        Step.RCPT,
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        About.DOUBTFUL,
    ),
    "o365-banned": (Step.MESSAGE, "550 5.7.501 Service unavailable. Spam abuse detected.", About.DOUBTFUL),
    "o365-many": (Step.AUTH, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", About.NOW),
    "outlook-no-mailbox": (
        Step.RCPT,
        "550 5.5.0 Requested action not taken: mailbox unavailable.",
        About.DOUBTFUL,
    ),
    # Yahoo
    "yahoo-no-user": (
        Step.RCPT,
        "554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]",
        About.DOUBTFUL,
    ),
    "yahoo-no-user-2022": (Step.RCPT, "552 1 Requested mail action aborted, mailbox not found", About.DOUBTFUL),
    "yahoo-policy": (Step.MESSAGE, "554 5.7.9 Message not accepted for policy reasons.", About.DOUBTFUL),
    "yahoo-from": (Step.MAIL, "553 From address not verified - see https://help.yahoo.example", About.US),
    "yahoo-deferred": (
        Step.MAIL,
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints",
        About.NOW,
    ),
    # Plesk, which is Postfix or qmail
    "plesk-limit": (
        Step.RCPT,
        "550 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing messages was exceeded.",
        About.US,
    ),
    "plesk-qmail-relay": (
        Step.RCPT,
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
        About.US,
    ),
    "plesk-qmail-no-user": (Step.RCPT, "550 sorry, no mailbox here by that name. (#5.1.1)", About.RECIPIENT),
    "plesk-not-owned": (
        Step.RCPT,
        "553 5.7.1 <tickets@shop.example>: Sender address rejected: not owned by user bot@shop.example",
        About.US,
    ),
    # Postfix
    "postfix-relay": (Step.RCPT, "554 5.7.1 <ada@buyer.example>: Relay access denied", About.US),
    "postfix-relay-deferred": (Step.RCPT, "454 4.7.1 <ada@buyer.example>: Relay access denied", About.US),
    "postfix-sender-deferred": (
        Step.RCPT,
        "450 4.1.8 <tickets@shop.example>: Sender address rejected: Domain not found",
        About.NOW,
    ),
    "plesk-limit-deferred": (Step.RCPT, "451 4.7.1 The limit on outgoing messages was exceeded", About.NOW),
    "greylisted-by-policy": (Step.RCPT, "451 4.7.1 Greylisting in action, please come back later", About.NOW_RECIPIENT),
    "postfix-no-user": (
        Step.RCPT,
        "550 5.1.1 <ada@buyer.example>: Recipient address rejected: User unknown in local recipient table",
        About.RECIPIENT,
    ),
    "postfix-sender-unknown": (
        Step.RCPT,
        "550 5.1.0 <tickets@shop.example>: Sender address rejected: User unknown in local recipient table",
        About.US,
    ),
    "postfix-sender-domain": (
        Step.RCPT,
        "550 5.1.8 <tickets@shop.example>: Sender address rejected: Domain not found",
        About.US,
    ),
    "postfix-no-domain": (
        Step.RCPT,
        "550 5.1.2 <ada@nowhere.example>: Recipient address rejected: Domain not found",
        About.RECIPIENT,
    ),
    "postfix-greylisted": (
        Step.RCPT,
        "450 4.2.0 <ada@buyer.example>: Recipient address rejected: Greylisted",
        About.NOW_RECIPIENT,
    ),
    "postfix-too-many-errors": (Step.RCPT, "421 4.7.0 mx.example Error: too many errors", About.NOW),
    "postfix-size": (Step.MAIL, "552 5.3.4 Message size exceeds fixed limit", About.MESSAGE),
    "postfix-size-after-data": (Step.MESSAGE, "552 5.3.4 Error: message file too big", About.MESSAGE),
    "postfix-queue-full": (Step.MAIL, "452 4.3.1 Insufficient system storage", About.NOW),
    "postfix-blocked": (
        Step.RCPT,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using relay.list.example",
        About.DOUBTFUL,
    ),
    "postfix-no-recipients": (Step.DATA, "554 5.5.1 Error: no valid recipients", About.DOUBTFUL),
    "postfix-milter": (Step.MESSAGE, "550 5.7.1 Command rejected", About.DOUBTFUL),
    # Exim and others
    "exim-relay": (Step.RCPT, "550 relay not permitted", About.US),
    "exim-sender": (
        Step.RCPT,
        "550-Verification failed for <tickets@shop.example>\n550 Sender verify failed",
        About.US,
    ),
    "exim-no-user": (Step.RCPT, "550 Unknown user", About.DOUBTFUL_RECIPIENT),
    "exim-size": (Step.MESSAGE, "552 Message size exceeds maximum permitted", About.MESSAGE),
    "sendmail-no-user": (Step.RCPT, "550 5.0.0 User unknown", About.DOUBTFUL_RECIPIENT),
    "user-not-local": (Step.RCPT, "551 User not local; please try <ada@other.example>", About.DOUBTFUL_RECIPIENT),
    "mailbox-name": (Step.RCPT, "553 Mailbox name not allowed", About.DOUBTFUL_RECIPIENT),
    "full": (Step.RCPT, "552 Mailbox full: user over quota", About.DOUBTFUL),
    "refused-at-the-door": (Step.GREETING, "554 No SMTP service here", About.US),
    "name-refused": (Step.EHLO, "550 5.7.1 Your name is wrong", About.US),
    "not-smtp": (Step.RCPT, "-1 HTTP/1.1 400 Bad Request", About.NOW),
    "nothing-to-answer": (Step.DATA, "250 what", About.NOW),
}


@pytest.mark.parametrize("name", REPLIES)
def test_refusal_of_a_real_server_is_about_whom_the_table_says(name: str) -> None:
    step, reply, about = REPLIES[name]
    code, _, text = (
        reply.replace("\n550-", "\n").replace("\n550 ", "\n").partition(reply[3] if reply[0] != "-" else " ")
    )
    assert whom_it_is_about(step, int(code), text) is about


@pytest.mark.parametrize("code", [550, 551, 553])
def test_refusal_without_a_code_at_rcpt_is_the_recipients_once_others_are_taken(code: int) -> None:
    assert whom_it_is_about(Step.RCPT, code, "no such user", others_taken=True) is About.RECIPIENT
    assert whom_it_is_about(Step.RCPT, code, "no such user") is About.DOUBTFUL_RECIPIENT
    assert whom_it_is_about(Step.MESSAGE, code, "no", others_taken=True) is About.DOUBTFUL


def test_refusal_by_policy_stays_doubtful_though_others_are_taken() -> None:
    assert whom_it_is_about(Step.RCPT, 550, "5.7.1 policy", others_taken=True) is About.DOUBTFUL


@pytest.mark.parametrize(
    ("text", "code"),
    [("5.1.1 no", "5.1.1"), ("no (#5.7.1)", "5.7.1"), ("no 10.5.1.1 no", ""), ("", ""), ("5.2.252 SendAs", "5.2.252")],
)
def test_enhanced_code_is_found_where_servers_put_it(text: str, code: str) -> None:
    assert enhanced_code(text) == code
