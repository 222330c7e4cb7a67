"""A shop's desk: users, orders and products, and what an agent may do with them.

The tools have the names and parameters of tau-bench's retail shop (benchmarks/tau.py names the
source); what they do is written anew from their descriptions and the shop's policy.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from paragent.environment import Refused
from paragent.worlds.airline import calculated
from paragent.worlds.tables import Record, Tables, cents

REASONS = ("no longer needed", "ordered by mistake")


class Shop:
    """The tools as functions; each returns a text. `over` once the user was handed to a human."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.over = tables, False

    # -- looking up -------------------------------------------------------------------------------

    def find_user_id_by_email(self, email: str) -> str:
        for user_id, user in self.tables.all("users"):
            if user["email"].lower() == email.lower():
                return user_id
        raise Refused("no user has this address")

    def find_user_id_by_name_zip(self, first_name: str, last_name: str, zip: str) -> str:
        wanted = (first_name.lower(), last_name.lower(), zip)
        for user_id, user in self.tables.all("users"):
            name = user["name"]
            known = (name["first_name"].lower(), name["last_name"].lower(), user["address"]["zip"])
            if known == wanted:
                return user_id
        raise Refused("no user has this name and postal code")

    def get_user_details(self, user_id: str) -> str:
        return _told(self.tables.get("users", user_id))

    def get_order_details(self, order_id: str) -> str:
        return _told(self.tables.get("orders", order_id))

    def get_product_details(self, product_id: str) -> str:
        return _told(self.tables.get("products", product_id))

    def list_all_product_types(self) -> str:
        names = {p["name"]: product_id for product_id, p in self.tables.all("products")}
        return _told(dict(sorted(names.items())))

    def calculate(self, expression: str) -> str:
        return calculated(expression)

    def think(self, thought: str) -> str:
        return ""

    def transfer_to_human_agents(self, summary: str) -> str:
        self.over = True
        return "Transfer successful"

    # -- changing ----------------------------------------------------------------------------------

    def cancel_pending_order(self, order_id: str, reason: str) -> str:
        order = self._order(order_id, "pending")
        if reason not in REASONS:
            raise Refused(f"the reason must be one of: {', '.join(REASONS)}")
        order = self.tables.edit("orders", order_id)
        for payment in [*order["payment_history"]]:
            method, amount = payment["payment_method_id"], payment["amount"]
            order["payment_history"].append(_payment("refund", amount, method))
            self._give(order["user_id"], method, amount)
        order["status"], order["cancel_reason"] = "cancelled", reason
        return _told(order)

    def modify_pending_order_address(
        self,
        order_id: str,
        address1: str,
        address2: str,
        city: str,
        state: str,
        country: str,
        zip: str,
    ) -> str:
        self._order(order_id, "pending")
        order = self.tables.edit("orders", order_id)
        order["address"] = _address(address1, address2, city, state, country, zip)
        return _told(order)

    def modify_user_address(
        self,
        user_id: str,
        address1: str,
        address2: str,
        city: str,
        state: str,
        country: str,
        zip: str,
    ) -> str:
        user = self.tables.edit("users", user_id)
        user["address"] = _address(address1, address2, city, state, country, zip)
        return _told(user)

    def modify_pending_order_payment(self, order_id: str, payment_method_id: str) -> str:
        order = self._order(order_id, "pending")
        history = order["payment_history"]
        if len(history) != 1 or history[0]["transaction_type"] != "payment":
            raise Refused("there must be one payment for the order")
        old, amount = history[0]["payment_method_id"], history[0]["amount"]
        self._method(order["user_id"], payment_method_id)
        if old == payment_method_id:
            raise Refused("the order is paid in this way already")
        self._take(order["user_id"], payment_method_id, amount)
        self._give(order["user_id"], old, amount)
        order = self.tables.edit("orders", order_id)
        order["payment_history"] += [
            _payment("payment", amount, payment_method_id),
            _payment("refund", amount, old),
        ]
        return _told(order)

    def modify_pending_order_items(
        self,
        order_id: str,
        item_ids: Sequence[str],
        new_item_ids: Sequence[str],
        payment_method_id: str,
    ) -> str:
        order = self._order(order_id, "pending")
        pairs = self._pairs(order, item_ids, new_item_ids)
        more = cents(sum(new["price"] - old["price"] for old, new in pairs))
        user_id = order["user_id"]
        self._method(user_id, payment_method_id)
        if more > 0:
            self._take(user_id, payment_method_id, more)
        elif more < 0:
            self._give(user_id, payment_method_id, -more)
        order = self.tables.edit("orders", order_id)
        kind = "payment" if more > 0 else "refund"
        order["payment_history"].append(_payment(kind, abs(more), payment_method_id))
        for old_id, (_, new) in zip(item_ids, pairs, strict=True):
            item = next(i for i in order["items"] if i["item_id"] == old_id)
            item.update({k: new[k] for k in ("item_id", "price", "options")})
        order["status"] = "pending (item modified)"
        return _told(order)

    def exchange_delivered_order_items(
        self,
        order_id: str,
        item_ids: Sequence[str],
        new_item_ids: Sequence[str],
        payment_method_id: str,
    ) -> str:
        order = self._order(order_id, "delivered")
        pairs = self._pairs(order, item_ids, new_item_ids)
        more = cents(sum(new["price"] - old["price"] for old, new in pairs))
        found = self._method(order["user_id"], payment_method_id)
        if found["source"] == "gift_card" and found["balance"] < more:
            raise Refused(f"{payment_method_id} has only {found['balance']} left")
        order = self.tables.edit("orders", order_id)
        order["status"] = "exchange requested"
        order["exchange_items"] = sorted(item_ids)
        order["exchange_new_items"] = sorted(new_item_ids)
        order["exchange_payment_method_id"] = payment_method_id
        order["exchange_price_difference"] = more
        return _told(order)

    def return_delivered_order_items(
        self, order_id: str, item_ids: Sequence[str], payment_method_id: str
    ) -> str:
        order = self._order(order_id, "delivered")
        found = self._method(order["user_id"], payment_method_id)
        original = order["payment_history"][0]["payment_method_id"]
        if found["source"] != "gift_card" and payment_method_id != original:
            raise Refused("money goes back to the original payment method or to a gift card")
        self._among(order, item_ids)
        order = self.tables.edit("orders", order_id)
        order["status"] = "return requested"
        order["return_items"] = sorted(item_ids)
        order["return_payment_method_id"] = payment_method_id
        return _told(order)

    # -- checks and money --------------------------------------------------------------------------

    def _order(self, order_id: str, status: str) -> Record:
        order = self.tables.get("orders", order_id)
        if order["status"] != status:
            raise Refused(f"order {order_id} is {order['status']}, not {status}")
        return order

    def _method(self, user_id: str, method: str) -> Record:
        found: Record | None = self.tables.get("users", user_id)["payment_methods"].get(method)
        if found is None:
            raise Refused(f"the user has no payment method {method!r}")
        return found

    def _take(self, user_id: str, method: str, amount: float) -> None:
        found = self._method(user_id, method)
        if found["source"] == "gift_card":
            if found["balance"] < amount:
                raise Refused(f"{method} has only {found['balance']} left")
            self._give(user_id, method, -amount)

    def _give(self, user_id: str, method: str, amount: float) -> None:
        """Gift cards have a balance; the others' is elsewhere."""
        if self._method(user_id, method)["source"] == "gift_card":
            card = self.tables.edit("users", user_id)["payment_methods"][method]
            card["balance"] = cents(card["balance"] + amount)

    @staticmethod
    def _among(order: Record, item_ids: Sequence[str]) -> None:
        there = Counter(item["item_id"] for item in order["items"])
        missing = [i for i, n in Counter(item_ids).items() if n > there[i]]
        if missing or not item_ids:
            raise Refused(f"the order has no such item: {', '.join(missing) or 'none was named'}")

    def _pairs(
        self, order: Record, item_ids: Sequence[str], new_item_ids: Sequence[str]
    ) -> list[tuple[Record, Record]]:
        """Each old item with the new one, which is another kind of the same product."""
        self._among(order, item_ids)
        if len(item_ids) != len(new_item_ids):
            raise Refused("for each item there must be one new item")
        pairs = []
        for old_id, new_id in zip(item_ids, new_item_ids, strict=True):
            old = next(i for i in order["items"] if i["item_id"] == old_id)
            new = self.tables.get("products", old["product_id"])["variants"].get(new_id)
            if new is None or not new["available"]:
                raise Refused(f"{new_id} is no available kind of {old['name']}")
            pairs.append((old, new))
        return pairs


def _address(
    address1: str, address2: str, city: str, state: str, country: str, zip: str
) -> dict[str, str]:
    return {"address1": address1, "address2": address2, "city": city, "state": state,
            "country": country, "zip": zip}  # fmt: skip


def _payment(kind: str, amount: float, method: str) -> dict[str, Any]:
    return {"transaction_type": kind, "amount": amount, "payment_method_id": method}


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
