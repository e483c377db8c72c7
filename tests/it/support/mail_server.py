"""A mail server for the tests: port and folder are its arguments. It keeps each letter as a file of JSON."""

import asyncio
import json
import os
import sys
from email import message_from_bytes
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

port, folder = int(sys.argv[1]), sys.argv[2]
REFUSED = {
    "nobody@example.org": "550 5.1.1 No such mailbox",
    "later@example.org": "451 4.3.0 Later",
    "policy@example.org": "554 5.7.1 We do not like this",
}


class Handler:
    letters = 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in REFUSED:
            return REFUSED[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = message_from_bytes(envelope.content, policy=default)
        part = lambda kind: letter.get_body((kind,)).get_content()
        found = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": letter["subject"],
            "message_id": letter["message-id"],
            "bcc": letter["bcc"],
            "text": part("plain"),
            "html": part("html"),
        }
        self.letters += 1
        path = os.path.join(folder, f"{self.letters:06}")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found, file)
        os.rename(path, path + ".json")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"mayday", b"the-mail-password-of-the-tests")
    return AuthResult(success=good, handled=False)


controller = Controller(
    Handler(),
    hostname="127.0.0.1",
    port=port,
    authenticator=authenticate,
    auth_required=True,
    auth_require_tls=False,
    enable_SMTPUTF8=True,
)
controller.start()
asyncio.new_event_loop().run_forever()
