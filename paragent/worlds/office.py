"""Four small services for agents: mathematics, messages, posts and tickets.

See `paragent.worlds.service`.
"""

from __future__ import annotations

import decimal
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from paragent.worlds.service import Fault, Service

# -- mathematics -----------------------------------------------------------------------------------

_PREFIXES = {"k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2, "m": -3, "u": -6, "n": -9}
_IMPERIAL = {
    ("cm", "in"): 0.393701,
    ("m", "ft"): 3.28084,
    ("m", "yd"): 1.09361,
    ("km", "miles"): 0.621371,
    ("kg", "lb"): 2.20462,
}


class Mathematics(Service):
    """Numbers in, a number out; no state."""

    def absolute_value(self, number: float) -> Any:
        return _number(abs(number))

    def add(self, a: float, b: float) -> Any:
        return _number(a + b)

    def subtract(self, a: float, b: float) -> Any:
        return _number(a - b)

    def multiply(self, a: float, b: float) -> Any:
        return _number(a * b)

    def divide(self, a: float, b: float) -> Any:
        if b == 0:
            raise Fault("a number cannot be divided by zero")
        return _number(a / b)

    def power(self, base: float, exponent: float) -> Any:
        try:
            return _number(math.pow(base, exponent))
        except (ValueError, OverflowError):
            raise Fault("the power is no number that can be told") from None

    def percentage(self, part: float, whole: float) -> Any:
        if whole == 0:
            raise Fault("the whole is zero")
        return _number(part / whole * 100)

    def round_number(self, number: float, decimal_places: int = 0) -> Any:
        return _number(round(number, max(-300, min(300, decimal_places))))

    def logarithm(self, value: float, base: float, precision: int) -> Any:
        if value <= 0 or base <= 0 or base == 1:
            raise Fault("there is no such logarithm")
        with decimal.localcontext(prec=_digits(precision)):
            return _number(float(decimal.Decimal(value).ln() / decimal.Decimal(base).ln()))

    def square_root(self, number: float, precision: int) -> Any:
        if number < 0:
            raise Fault("a negative number has no square root")
        with decimal.localcontext(prec=_digits(precision)):
            return _number(float(decimal.Decimal(number).sqrt()))

    def max_value(self, numbers: Sequence[float]) -> Any:
        return _number(max(_some(numbers)))

    def min_value(self, numbers: Sequence[float]) -> Any:
        return _number(min(_some(numbers)))

    def mean(self, numbers: Sequence[float]) -> Any:
        return _number(sum(_some(numbers)) / len(numbers))

    def sum_values(self, numbers: Sequence[float]) -> Any:
        return _number(sum(_some(numbers)))

    def standard_deviation(self, numbers: Sequence[float]) -> Any:
        middle = sum(_some(numbers)) / len(numbers)
        try:
            return _number(math.sqrt(sum((n - middle) ** 2 for n in numbers) / len(numbers)))
        except OverflowError:
            raise Fault("the numbers are too large") from None

    def si_unit_conversion(self, value: float, unit_in: str, unit_out: str) -> Any:
        for base in ("m", "g", "s"):
            if unit_in.endswith(base) and unit_out.endswith(base):
                one, two = (_PREFIXES.get(u[: -len(base)]) for u in (unit_in, unit_out))
                if one is not None and two is not None:
                    return _number(value * 10.0 ** (one - two))
        raise Fault(f"no conversion from {unit_in} to {unit_out}")

    def imperial_si_conversion(self, value: float, unit_in: str, unit_out: str) -> Any:
        if (unit_in, unit_out) in _IMPERIAL:
            return _number(value * _IMPERIAL[unit_in, unit_out])
        if (unit_out, unit_in) in _IMPERIAL:
            return _number(value / _IMPERIAL[unit_out, unit_in])
        if (unit_in, unit_out) == ("celsius", "fahrenheit"):
            return _number(value * 9 / 5 + 32)
        if (unit_in, unit_out) == ("fahrenheit", "celsius"):
            return _number((value - 32) * 5 / 9)
        raise Fault(f"no conversion from {unit_in} to {unit_out}")


def _number(value: float) -> Any:
    if not math.isfinite(value):
        raise Fault("the result is too large")
    return {"result": value}


def _digits(precision: int) -> int:
    if not 1 <= precision <= 100:
        raise Fault("precision must be from 1 to 100")
    return precision


def _some(numbers: Sequence[float]) -> Sequence[float]:
    if not numbers:
        raise Fault("there are no numbers")
    return numbers


# -- messages --------------------------------------------------------------------------------------


class Messages(Service):
    """People of a workspace and what was sent to them. `inbox` holds {receiver: text}, in order."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "user_count": 4,
        "user_map": {"Alice": "USR001", "Bob": "USR002", "Catherine": "USR003", "Daniel": "USR004"},
        "inbox": [
            {"USR002": "My name is Alice. I want to connect."},
            {"USR003": "Could you upload the file?"},
            {"USR004": "Could you upload the file?"},
        ],
        "message_count": 3,
        "current_user": None,
    }

    user_count: int
    user_map: dict[str, str]
    inbox: list[dict[str, Any]]
    message_count: int
    current_user: str | None

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self._lot = random.Random(200191)

    def _sent(self) -> list[tuple[str, Any]]:
        if not self.current_user:
            raise Fault("nobody is logged in")
        return [next(iter(message.items())) for message in self.inbox if message]

    def list_users(self) -> Any:
        return {"user_list": list(self.user_map)}

    def get_user_id(self, user: str) -> Any:
        if user not in self.user_map:
            raise Fault(f"there is no user {user!r}")
        return {"user_id": self.user_map[user]}

    def message_login(self, user_id: str) -> Any:
        if user_id not in self.user_map.values():
            return {"login_status": False, "message": f"there is no user {user_id!r}"}
        self.current_user = user_id
        return {"login_status": True, "message": f"{user_id} is logged in"}

    def message_get_login_status(self) -> Any:
        return {"login_status": bool(self.current_user)}

    def send_message(self, receiver_id: str, message: str) -> Any:
        self._sent()
        if receiver_id not in self.user_map.values():
            raise Fault(f"there is no receiver {receiver_id!r}")
        self.inbox.append({receiver_id: message})
        self.message_count += 1
        number = self._lot.randint(10000, 99999)
        return {"sent_status": True, "message_id": number, "message": f"sent to {receiver_id}"}

    def delete_message(self, receiver_id: str) -> Any:
        self._sent()
        for place in range(len(self.inbox) - 1, -1, -1):
            if next(iter(self.inbox[place]), None) == receiver_id:
                del self.inbox[place]
                told = "the latest message was deleted"
                return {"deleted_status": True, "receiver_id": receiver_id, "message": told}
        raise Fault(f"nothing was sent to {receiver_id!r}")

    def view_messages_sent(self) -> Any:
        found: dict[str, list[Any]] = {}
        for receiver, text in self._sent():
            found.setdefault(receiver, []).append(text)
        return {"messages": found}

    def add_contact(self, user_name: str) -> Any:
        if user_name in self.user_map:
            raise Fault(f"{user_name!r} is a contact already")
        self.user_count += 1
        user_id = f"USR{self.user_count:03}"
        if user_id in self.user_map.values():
            raise Fault(f"{user_id!r} is somebody's already")
        self.user_map[user_name] = user_id
        return {"added_status": True, "user_id": user_id, "message": f"{user_name} was added"}

    def search_messages(self, keyword: str) -> Any:
        found = [
            {"receiver_id": receiver, "message": text}
            for receiver, text in self._sent()
            if keyword.lower() in str(text).lower()
        ]
        return {"results": found}

    def get_message_stats(self) -> Any:
        sent = self._sent()
        people = {receiver for receiver, _ in sent}
        return {"stats": {"received_count": len(sent), "total_contacts": len(people)}}


# -- posts -----------------------------------------------------------------------------------------


class Posts(Service):
    """Short public posts of one account, and whom it follows. Posts are numbered."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "username": "john",
        "password": "john123",
        "authenticated": False,
        "tweets": {},
        "comments": {},
        "retweets": {},
        "following_list": ["alice", "bob"],
        "tweet_counter": 0,
    }

    username: str
    password: str
    authenticated: bool
    tweets: dict[int, dict[str, Any]]
    comments: dict[Any, list[dict[str, str]]]
    retweets: dict[str, list[int]]
    following_list: list[str]
    tweet_counter: int

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self.tweets = {int(number): tweet for number, tweet in self.tweets.items()}

    def _known(self) -> None:
        if not self.authenticated:
            raise Fault("log in first")

    def _tweet(self, number: int) -> dict[str, Any]:
        if number not in self.tweets:
            raise Fault(f"there is no tweet {number}")
        return self.tweets[number]

    def authenticate_twitter(self, username: str, password: str) -> Any:
        right = (username, password) == (self.username, self.password)
        self.authenticated = self.authenticated or right
        return {"authentication_status": right}

    def posting_get_login_status(self) -> Any:
        return {"login_status": bool(self.authenticated)}

    def post_tweet(
        self, content: str, tags: Sequence[str] = (), mentions: Sequence[str] = ()
    ) -> Any:
        self._known()
        tweet = {
            "id": self.tweet_counter,
            "username": self.username,
            "content": content,
            "tags": list(tags),
            "mentions": list(mentions),
        }
        self.tweets[self.tweet_counter] = tweet
        self.tweet_counter += 1
        return tweet

    def retweet(self, tweet_id: int) -> Any:
        self._known()
        self._tweet(tweet_id)
        mine = self.retweets.setdefault(self.username, [])
        if tweet_id in mine:
            return {"retweet_status": "retweeted before"}
        mine.append(tweet_id)
        return {"retweet_status": "retweeted"}

    def comment(self, tweet_id: int, comment_content: str) -> Any:
        self._known()
        self._tweet(tweet_id)
        said = {"username": self.username, "content": comment_content}
        self.comments.setdefault(tweet_id, []).append(said)
        return {"comment_status": "added"}

    def mention(self, tweet_id: int, mentioned_usernames: Sequence[str]) -> Any:
        self._tweet(tweet_id).setdefault("mentions", []).extend(mentioned_usernames)
        return {"mention_status": "mentioned"}

    def follow_user(self, username_to_follow: str) -> Any:
        self._known()
        new = username_to_follow not in self.following_list
        if new:
            self.following_list.append(username_to_follow)
        return {"follow_status": new}

    def unfollow_user(self, username_to_unfollow: str) -> Any:
        self._known()
        there = username_to_unfollow in self.following_list
        if there:
            self.following_list.remove(username_to_unfollow)
        return {"unfollow_status": there}

    def list_all_following(self) -> Any:
        self._known()
        return {"following_list": self.following_list}

    def get_tweet(self, tweet_id: int) -> Any:
        return self._tweet(tweet_id)

    def get_user_tweets(self, username: str) -> Any:
        return {"user_tweets": [t for t in self.tweets.values() if t["username"] == username]}

    def search_tweets(self, keyword: str) -> Any:
        word = keyword.lower()
        found = [
            t
            for t in self.tweets.values()
            if word in t["content"].lower() or word in [tag.lower() for tag in t.get("tags", [])]
        ]
        return {"matching_tweets": found}

    def get_tweet_comments(self, tweet_id: int) -> Any:
        self._tweet(tweet_id)
        return {"comments": self.comments.get(tweet_id, self.comments.get(str(tweet_id), []))}

    def get_user_stats(self, username: str) -> Any:
        return {
            "tweet_count": sum(t["username"] == username for t in self.tweets.values()),
            "following_count": len(self.following_list) if username == self.username else 0,
            "retweet_count": len(self.retweets.get(username, [])),
        }


# -- tickets ---------------------------------------------------------------------------------------


class Tickets(Service):
    """A queue of support tickets."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "ticket_queue": [],
        "ticket_counter": 1,
        "current_user": None,
    }

    ticket_queue: list[dict[str, Any]]
    ticket_counter: int
    current_user: str | None

    def _ticket(self, ticket_id: object) -> dict[str, Any]:
        for ticket in self.ticket_queue:
            if ticket.get("id") == ticket_id:
                return ticket
        raise Fault(f"there is no ticket {ticket_id}")

    def _end(self, ticket_id: object, status: str) -> dict[str, Any]:
        ticket = self._ticket(ticket_id)
        if ticket.get("status") == status:
            raise Fault(f"ticket {ticket_id} is {status.lower()} already")
        ticket["status"] = status
        return ticket

    def ticket_login(self, username: str, password: str) -> Any:
        if not username or not password:
            return {"success": False}
        self.current_user = username
        return {"success": True}

    def ticket_get_login_status(self) -> Any:
        return {"login_status": bool(self.current_user)}

    def logout(self) -> Any:
        was, self.current_user = self.current_user, None
        return {"success": bool(was)}

    def create_ticket(self, title: str, description: str = "", priority: int = 1) -> Any:
        if not self.current_user:
            raise Fault("log in first")
        if not 1 <= priority <= 5:
            raise Fault("priority must be from 1 to 5")
        ticket = {
            "id": self.ticket_counter,
            "title": title,
            "description": description,
            "status": "Open",
            "priority": priority,
            "created_by": self.current_user,
        }
        self.ticket_queue.append(ticket)
        self.ticket_counter += 1
        return ticket

    def get_ticket(self, ticket_id: object) -> Any:
        return self._ticket(ticket_id)

    def close_ticket(self, ticket_id: object) -> Any:
        self._end(ticket_id, "Closed")
        return {"status": f"ticket {ticket_id} is closed"}

    def resolve_ticket(self, ticket_id: object, resolution: str) -> Any:
        self._end(ticket_id, "Resolved")["resolution"] = resolution
        return {"status": f"ticket {ticket_id} is resolved"}

    def edit_ticket(self, ticket_id: object, updates: Mapping[str, Any]) -> Any:
        ticket = self._ticket(ticket_id)
        unknown = sorted(set(updates) - {"title", "description", "status", "priority"})
        if unknown:
            raise Fault(f"a ticket has no {', '.join(unknown)}")
        ticket.update({k: v for k, v in updates.items() if v is not None})
        return {"status": f"ticket {ticket_id} is changed"}

    def get_user_tickets(self, status: str = "None") -> Any:
        if not self.current_user:
            raise Fault("log in first")
        mine = [t for t in self.ticket_queue if t.get("created_by") == self.current_user]
        if status != "None":
            mine = [t for t in mine if str(t.get("status", "")).lower() == status.lower()]
        return {"tickets": mine}
