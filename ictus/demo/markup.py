"""A case in HTML: the chat, the images as sent and as kept, what was predicted and found.

Whatever people and programs wrote is escaped here, except a message's `html`, which the emulator
made of escaped text and the few tags Telegram knows.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from itertools import groupby
from typing import Any

from msgspec import Struct

from domain.advice import abstains
from domain.case import (
    Case,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    Label,
    PredictionDeclined,
    PredictionProduced,
)
from domain.stroke import Cause
from ictus.demo.clinician import Sent
from ictus.demo.pictures import Picture, open_masked, open_sent, picture
from ictus.demo.story import Photo, Story, file_id, moment
from ictus.demo.telegram import Message
from ictus.demo.timeline import actor, timeline
from workers.texts import plainly

PICTURE_SIDE_PX_MAX, CHAT_SIDE_PX_MAX = 480, 280
ALBUM_COLUMNS_MAX = 3


class Seen(Struct, frozen=True):
    """A photo's pictures: as in the chat, as sent, as kept."""

    photo: Photo
    thumb: Picture | None
    sent: Picture | None
    masked: Picture | None


def story_html(story: Story) -> str:
    sent, opened = story.known.sent, story.known.case.opened
    who = f" ({actor(f'person:{opened.by}')})" if opened else ""
    code = escape(sent.code or "")
    seen = {file: _seen(photo) for file, photo in story.photos.items()}
    return f"""<article id="{code}" aria-labelledby="{code}-title">
<header>
<h2 id="{code}-title">{code}</h2>
<p>{escape(sent.person.name)}{who} · {images(sent.photos)} · {waited(sent)}{_truth(sent.truth)}</p>
</header>
<section class="chat" lang="{escape(sent.person.language)}" aria-label="The chat">
{_joined(_chat(story, seen))}
</section>
<div class="kept">
<section class="said" aria-label="Prediction and final cause">
{_prediction(story.known.case)}
{_label(story.known.case.label)}
</section>
<section class="images" aria-label="Images as sent and as kept">
{_joined(_pair(one) for one in seen.values())}
</section>
</div>
<section class="events" aria-label="Events">
{timeline(story)}
</section>
</article>"""


def images(count: int) -> str:
    return plainly("en", "images", count=count)


def cause(name: Cause | str) -> str:
    return escape(plainly("en", f"cause-{name}"))


def waited(sent: Sent) -> str:
    return "no reply" if sent.waited_s is None else f"reply after {sent.waited_s:.1f} s"


def _truth(truth: str) -> str:
    return f" · synthetic truth <em>{cause(truth)}</em>" if truth else ""


def _seen(photo: Photo) -> Seen:
    sent = open_sent(photo.sent)
    return Seen(
        photo=photo,
        thumb=picture(sent, CHAT_SIDE_PX_MAX) if sent else None,
        sent=picture(sent, PICTURE_SIDE_PX_MAX) if sent else None,
        masked=picture(open_masked(photo.masked), PICTURE_SIDE_PX_MAX) if photo.masked else None,
    )


# The chat


def _chat(story: Story, seen: Mapping[str, Seen]) -> Iterator[str]:
    """Photos one after the other are one album."""
    for is_album, group in groupby(story.chat, lambda message: file_id(message) in seen):
        messages = list(group)
        if is_album:
            yield _album(messages, seen)
        else:
            yield from map(_bubble, messages)


def _album(messages: list[Message], seen: Mapping[str, Seen]) -> str:
    shown = _joined(_attached(seen[file_id(message)]) for message in messages)
    columns = min(len(messages), ALBUM_COLUMNS_MAX)
    words = "".join(
        f"<p>{message.versions[-1]['html']}</p>" for message in messages if message.text
    )
    return f"""<div class="bubble person album">
<div style="--columns:{columns}">{shown}</div>{words}
{_time(messages[-1].versions[0])}</div>"""


def _attached(seen: Seen) -> str:
    name = escape(str(seen.photo.media.get("file_name", "photo")))
    return _img(seen.thumb, name) if seen.thumb else f'<span class="file">{name}</span>'


def _bubble(message: Message) -> str:
    """As it stands now; what it was before can be unfolded."""
    version = message.versions[-1]
    side = "bot" if message.by_bot else "person"
    buttons = _joined(_row(row) for row in version["buttons"])
    return f"""<div class="bubble {side}">
<div class="words">{version["html"]}</div>
{_history(message)}</div>
{f'<div class="buttons">{buttons}</div>' if buttons else ""}"""


def _row(row: Iterable[Mapping[str, str]]) -> str:
    buttons = "".join(f"<span>{escape(button['text'])}</span>" for button in row)
    return f"<div>{buttons}</div>"


def _history(message: Message) -> str:
    *before, now = message.versions
    if not before:
        return _time(message.versions[0])
    edits = "edited once" if len(before) == 1 else f"edited {len(before)} times"
    texts = ["", *(one["text"] for one in before)]
    was = _joined(map(_edit, texts, before))
    return f"""<details><summary lang="en">{edits} {_time(now)}</summary>
<ol>{was}</ol></details>"""


def _edit(text_before: str, version: dict[str, Any]) -> str:
    """Of a card that only grew, the new lines are enough."""
    known = ["", *text_before.split("\n")] if text_before else []
    new = [line for line in version["text"].split("\n") if line not in known]
    words = escape("\n".join(["…"] * bool(known) + new))
    return f'<li><p lang="en">{_time(version)} was:</p><div>{words}</div></li>'


# The images


def _pair(seen: Seen) -> str:
    media = seen.photo.media
    size = f"{media['width']} × {media['height']}, " if "width" in media else ""
    sent = f"{escape(media['kind'])}, {size}{media['bytes'] / 1000:.0f} kB"
    return f"""<div class="pair">
{_figure(seen.sent, "As sent", sent)}
{_figure(seen.masked, "As kept", _outcome(seen.photo))}
</div>"""


def _outcome(photo: Photo) -> str:
    match photo.outcome:
        case ImageIngested(masked_permille=masked, quality=quality, warnings=warnings):
            measures = [
                f"{escape(name.replace('_', ' '))} {value}" for name, value in quality.items()
            ]
            told = [f"{masked / 10:.1f} % masked", *measures, *map(escape, warnings)]
            return ", ".join(told)
        case ImageRejected(reason=reason) | ImageQuarantined(reason=reason):
            return f"refused: {escape(reason)}"
        case None:
            return "not looked at yet"


def _figure(shown: Picture | None, title: str, caption: str) -> str:
    ratio = shown.width / shown.height if shown else 1.0
    body = _img(shown, title) if shown else '<span class="nothing">nothing to show</span>'
    return f"""<figure style="flex-grow:{ratio:.3f}">{body}
<figcaption><b>{title}</b> {caption}</figcaption></figure>"""


def _img(shown: Picture, alt: str) -> str:
    size = f'width="{shown.width}" height="{shown.height}"'
    return f'<img src="{shown.uri}" {size} alt="{alt}">'


# Prediction and final cause


def _prediction(case: Case) -> str:
    match case.prediction:
        case None:
            return "<h3>Prediction</h3>\n<p>None: no model serves, the case is collected.</p>"
        case PredictionDeclined(reason=reason):
            return f"<h3>Prediction</h3>\n<p>Declined: {escape(reason)}.</p>"
        case PredictionProduced() as said:
            title = "The model abstains" if abstains(said) else "Prediction"
            return f"<h3>{title}</h3>\n{_ranked(said)}"


def _ranked(said: PredictionProduced) -> str:
    low, high = (bound / 10 for bound in said.interval)
    rows = []
    for place, (name, permille) in enumerate(said.ranked):
        between = f"{low:.0f}–{high:.0f} %" if place == 0 else ""
        band = f'<i style="left:{low}%;width:{high - low:.1f}%"></i>' if place == 0 else ""
        rows.append(
            f"<tr><th scope=row>{cause(name)}</th>"
            f'<td class="scale"><div><b style="width:{permille / 10}%"></b>{band}</div></td>'
            f"<td>{permille / 10:.0f} %</td><td>{between}</td></tr>"
        )
    return f'<table class="ranked"><tbody>{_joined(rows)}</tbody></table>'


def _label(label: Label | None) -> str:
    if label is None:
        return '<h3>Final cause</h3>\n<p class="quiet">Not known yet.</p>'
    evidence = ", ".join(escape(plainly("en", f"evidence-{one}")) for one in label.evidence)
    blinded = "before any answer was seen" if label.blinded else "after the answer was seen"
    told = f"{evidence}; level {label.level}; told {blinded}"
    return f"<h3>Final cause</h3>\n<p><strong>{cause(label.cause)}</strong>, {told}</p>"


# Small things


def _time(version: dict[str, Any]) -> str:
    at = moment(version)
    return f'<time datetime="{at.isoformat()}">{at:%H:%M:%S}</time>'


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(parts)
