"""The same news as each receiver wants them: plain JSON, Slack, Mattermost, Matrix, a mail."""

from __future__ import annotations

import json
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sslops.report.text import for_markdown

if TYPE_CHECKING:
    from datetime import datetime

    from sslops.notify.news import News


class Form(StrEnum):
    """What a webhook expects."""

    JSON = "json"
    SLACK = "slack"
    MATTERMOST = "mattermost"
    MATRIX = "matrix"


def body(form: Form, news: News, site: str) -> bytes:
    """Return the JSON body for a webhook; *site* names the repository."""
    content: dict[str, Any]
    if form is Form.JSON:
        content = {
            "site": site,
            "headline": news.headline,
            "new": [{"key": each.key, "text": each.text} for each in news.new],
            "over": list(news.over),
            "open": len(news.open),
        }
    elif form is Form.SLACK:
        content = {"text": "\n".join(_slack(line) for line in _lines(news, site))}
    elif form is Form.MATTERMOST:
        content = {"text": "\n\n".join(for_markdown(line) for line in _lines(news, site))}
    else:
        content = {"msgtype": "m.text", "body": "\n".join(_lines(news, site))}
    return json.dumps(content, ensure_ascii=False).encode()


def mail(news: News, site: str, sender: str, recipients: tuple[str, ...], now: datetime) -> EmailMessage:
    """Return the mail."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(recipients)
    message["Subject"] = f"{news.headline} ({site})"
    message["Date"], message["Message-ID"] = format_datetime(now), make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no vacation notice answers it
    message.set_content("\n".join([*news.lines(), "", f"Of {site}; sslops status has all of it.", ""]))
    return message


def _lines(news: News, site: str) -> list[str]:
    return [f"{news.headline} ({site})", *news.lines()]


def _slack(text: str) -> str:
    """Escape what Slack reads as links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
