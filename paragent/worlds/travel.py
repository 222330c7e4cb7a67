"""A travel desk for agents (see `paragent.worlds.service`).

Prices of routes, exchange rates and the seed of made-up numbers are those of BFCL, so that its gold
calls name the right bookings.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

from paragent.worlds.service import Fault, Service, day_of

_AIRPORTS = {
    "Rivermist": "RMS", "Stonebrook": "SBK", "Maplecrest": "MPC", "Silverpine": "SVP",
    "Shadowridge": "SHD", "London": "LHR", "Paris": "CDG", "Sunset Valley": "SSV",
    "Oakendale": "OKD", "Willowbend": "WLB", "Crescent Hollow": "CRH", "Autumnville": "ATV",
    "Pinehaven": "PHV", "Greenfield": "GFD", "San Francisco": "SFO", "Los Angeles": "LAX",
    "New York": "JFK", "Chicago": "ORD", "Boston": "BOS", "Beijing": "PEK", "Hong Kong": "HKG",
    "Rome": "CIA", "Tokyo": "HND",
}  # fmt: skip
#: Airports in the order in which most routes' prices rise by ten.
_ROW = ("RMS", "SBK", "MPC", "SVP", "SHD", "SSV", "OKD", "WLB", "CRH", "ATV", "PHV", "GFD")
#: Price to the first airport of the row after the one it starts from.
_FROM = {"LAX": 310, "JFK": 450, "ORD": 350, "BOS": 400, "RMS": 220, "SBK": 200, "MPC": 210,
         "SVP": 230, "SHD": 220, "SSV": 240, "OKD": 230, "WLB": 250, "CRH": 240, "ATV": 230,
         "PHV": 220}  # fmt: skip
#: Routes outside that rule: "from to dollars".
_SINGLE = """
SFO LAX 200 SFO JFK 500 SFO ORD 400 SFO BOS 450 SFO RMS 300 SFO SBK 350 SFO MPC 370 SFO SVP 320
SFO SHD 330 SFO SSV 340 SFO OKD 360 SFO WLB 310 SFO CRH 380 SFO ATV 390 SFO PHV 420 SFO GFD 430
SFO CIA 700 LAX SFO 100 LAX JFK 600 LAX ORD 500 LAX BOS 550 LAX HND 430 JFK ORD 300 JFK BOS 250
JFK LAX 570 JFK HND 800 JFK PVG 950 JFK PEK 1000 ORD LAX 180 ORD BOS 200 RMS BOS 200 RMS JFK 210
RMS LAX 330 CRH SFO 270 CRH RMS 280 CRH HKG 290 CRH JFK 300 LHR CDG 100 OKD LAX 220
"""
_RATES = {"RMB": 7, "EUR": 0.8, "JPY": 110, "GBP": 0.7, "CAD": 1.3, "AUD": 1.4, "INR": 70,
          "RUB": 60, "BRL": 3.8, "MXN": 20}  # fmt: skip
_CLASSES = {"economy": 1, "business": 2, "first": 5}
#: The day on which travellers' ages are worked out.
TODAY = date(2025, 1, 1)


def _routes() -> dict[tuple[str, str], int]:
    found = {(a, b): int(c) for a, b, c in zip(*[iter(_SINGLE.split())] * 3, strict=True)}
    for start, price in _FROM.items():
        after = _ROW[_ROW.index(start) + 1 :] if start in _ROW else _ROW
        found |= {(start, to): price + 10 * i for i, to in enumerate(after)}
    return found


ROUTES = _routes()


class Travel(Service):
    """Cards, bookings, a budget and a token that most functions ask for."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "credit_card_list": {},
        "booking_record": {},
        "access_token": None,
        "token_type": None,
        "token_expires_in": None,
        "token_scope": None,
        "user_first_name": None,
        "user_last_name": None,
        "budget_limit": None,
    }

    credit_card_list: dict[str, dict[str, Any]]
    booking_record: dict[str, dict[str, Any]]
    access_token: str | None
    token_type: str | None
    token_expires_in: int | None
    token_scope: str | None
    user_first_name: str | None
    user_last_name: str | None
    budget_limit: float | None

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self._lot = random.Random(141053)

    def _number(self, digits: int) -> str:
        return str(self._lot.randint(10 ** (digits - 1), 10**digits - 1))

    def _let_in(self, token: str) -> None:
        if self.token_expires_in == 0:
            raise Fault("the token has expired")
        if self.access_token is None or token != self.access_token:
            raise Fault("the access token is not valid")

    def _card(self, card_id: str) -> dict[str, Any]:
        if card_id not in self.credit_card_list:
            raise Fault(f"there is no card {card_id!r}; cards: {[*self.credit_card_list]}")
        return self.credit_card_list[card_id]

    def _booking(self, booking_id: str) -> dict[str, Any]:
        if booking_id not in self.booking_record:
            raise Fault(f"there is no booking {booking_id!r}")
        return self.booking_record[booking_id]

    def authenticate_travel(
        self,
        client_id: str,
        client_secret: str,
        refresh_token: str,
        grant_type: str,
        user_first_name: str,
        user_last_name: str,
    ) -> Any:
        self.access_token, self.token_expires_in = self._number(6), 2
        self.token_type, self.token_scope = "Bearer", grant_type
        self.user_first_name, self.user_last_name = user_first_name, user_last_name
        token = {"access_token": self.access_token, "token_type": "Bearer", "scope": grant_type}
        return {"expires_in": 2, **token}

    def travel_get_login_status(self) -> Any:
        return {"status": bool(self.token_expires_in)}

    def get_budget_fiscal_year(
        self,
        lastModifiedAfter: str = "None",
        includeRemoved: str = "None",
    ) -> Any:
        return {"budget_fiscal_year": "2018"}

    def register_credit_card(
        self,
        access_token: str,
        card_number: str,
        expiration_date: str,
        cardholder_name: str,
        card_verification_number: int,
    ) -> Any:
        self._let_in(access_token)
        if card_number in self.credit_card_list:
            raise Fault("the card is registered already")
        card_id = self._number(12)
        self.credit_card_list[card_id] = {
            "card_number": card_number,
            "expiration_date": expiration_date,
            "cardholder_name": cardholder_name,
            "card_verification_number": card_verification_number,
            "balance": int(self._number(5)),
        }
        return {"card_id": card_id}

    def get_all_credit_cards(self) -> Any:
        return {"credit_card_list": self.credit_card_list}

    def get_credit_card_balance(self, access_token: str, card_id: str) -> Any:
        self._let_in(access_token)
        return {"card_balance": self._card(card_id).get("balance")}

    def get_flight_cost(
        self, travel_from: str, travel_to: str, travel_date: str, travel_class: str
    ) -> Any:
        return {"travel_cost_list": [self._cost(travel_from, travel_to, travel_date, travel_class)]}

    @staticmethod
    def _cost(start: str, to: str, day: str, class_: str) -> float:
        if (start, to) not in ROUTES:
            raise Fault(f"there is no flight from {start} to {to}")
        if class_ not in _CLASSES:
            raise Fault(f"travel_class must be one of {', '.join(_CLASSES)}")
        even = sum(int(c) for c in day if c in "0123456789") % 2 == 0
        return float(ROUTES[start, to] * _CLASSES[class_] * (2 if even else 1))

    def book_flight(
        self,
        access_token: str,
        card_id: str,
        travel_date: str,
        travel_from: str,
        travel_to: str,
        travel_class: str,
    ) -> Any:
        self._let_in(access_token)
        card = self._card(card_id)
        day_of(travel_date)
        for airport in (travel_from, travel_to):
            if airport not in _AIRPORTS.values():
                raise Fault(f"there is no airport {airport!r}")
        cost = self._cost(travel_from, travel_to, travel_date, travel_class)
        if card.get("balance", 0) < max(cost, self.budget_limit or 0):
            raise Fault("the card's balance is below the price or the budget limit")
        card["balance"] -= cost
        booking, transaction = self._number(7), self._number(8)
        self.booking_record[booking] = {
            "card_id": card_id,
            "travel_date": travel_date,
            "travel_from": travel_from,
            "travel_to": travel_to,
            "travel_class": travel_class,
            "travel_cost": cost,
            "transaction_id": transaction,
        }
        ids = {"booking_id": booking, "transaction_id": transaction}
        return {**ids, "booking_status": True, "booking_history": {}}

    def cancel_booking(self, access_token: str, booking_id: str) -> Any:
        self._let_in(access_token)
        booking = self._booking(booking_id)
        card = self._card(str(booking.get("card_id")))
        card["balance"] = card.get("balance", 0) + booking.get("travel_cost", 0)
        del self.booking_record[booking_id]
        return {"cancel_status": True}

    def retrieve_invoice(
        self, access_token: str, booking_id: str = "None", insurance_id: str = "None"
    ) -> Any:
        self._let_in(access_token)
        booking = self._booking(booking_id)
        told = {k: v for k, v in booking.items() if k != "card_id"}
        return {"invoice": {"booking_id": booking_id, **told}}

    def get_booking_history(self, access_token: str) -> Any:
        self._let_in(access_token)
        return {"booking_history": self.booking_record}

    def purchase_insurance(
        self,
        access_token: str,
        insurance_type: str,
        insurance_cost: float,
        booking_id: str,
        card_id: str,
    ) -> Any:
        self._let_in(access_token)
        if self.budget_limit is not None and self.budget_limit < insurance_cost:
            raise Fault("the insurance costs more than the budget limit")
        self._booking(booking_id)
        card = self._card(card_id)
        card["balance"] = card.get("balance", 0) - insurance_cost
        return {"insurance_id": self._number(9), "insurance_status": True}

    def contact_customer_support(self, booking_id: str, message: str) -> Any:
        self._booking(booking_id)
        told = "Thank you for your message; somebody will call you back."
        return {"customer_support_message": told}

    def set_budget_limit(self, access_token: str, budget_limit: float) -> Any:
        self._let_in(access_token)
        self.budget_limit = float(budget_limit)
        return {"budget_limit": self.budget_limit}

    def compute_exchange_rate(self, base_currency: str, target_currency: str, value: float) -> Any:
        if base_currency == "USD" and target_currency in _RATES:
            return {"exchanged_value": value * _RATES[target_currency]}
        if target_currency == "USD" and base_currency in _RATES:
            return {"exchanged_value": round(value / _RATES[base_currency], 2)}
        raise Fault(f"there is no rate from {base_currency} to {target_currency}")

    def get_nearest_airport_by_city(self, location: str) -> Any:
        return {"nearest_airport": _AIRPORTS.get(location, "Unknown")}

    def list_all_airports(self) -> Any:
        return {"airports": sorted(_AIRPORTS.values())}

    def verify_traveler_information(
        self, first_name: str, last_name: str, date_of_birth: str, passport_number: str
    ) -> Any:
        why = ""
        if (first_name, last_name) != (self.user_first_name, self.user_last_name):
            why = "the traveller is not the user"
        else:
            born = day_of(date_of_birth)
            had = (TODAY.month, TODAY.day) >= (born.month, born.day)
            if TODAY.year - born.year - (not had) < 18:
                why = "the traveller is under 18"
            elif not passport_number.startswith("US"):
                why = "the passport is not of the United States"
        if why:
            return {"verification_status": False, "verification_failure": why}
        return {"verification_status": True}
