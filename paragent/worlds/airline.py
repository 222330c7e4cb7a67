"""An airline's desk: users, flights and reservations, and what an agent may do with them.

The tools have the names and parameters of tau-bench's airline (benchmarks/tau.py names the source);
what they do is written anew from their descriptions and the airline's policy. As there, they check
what the database can check (seats, balances, sums), and leave the policy to the agent.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.environment import Refused
from paragent.worlds.tables import Record, Tables, cents

NOW = "2024-05-15T15:00:00"
#: Ids that new reservations and certificates get, in order.
NEW_RESERVATIONS = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES = ("3221322", "3221323", "3221324")
BAGGAGE_USD, INSURANCE_USD = 50, 30


class Airline:
    """The tools as functions; each returns a text. `over` once the user was handed to a human."""

    def __init__(self, tables: Tables) -> None:
        self.tables, self.over = tables, False

    # -- looking up -------------------------------------------------------------------------------

    def get_user_details(self, user_id: str) -> str:
        return _told(self.tables.get("users", user_id))

    def get_reservation_details(self, reservation_id: str) -> str:
        return _told(self.tables.get("reservations", reservation_id))

    def list_all_airports(self) -> str:
        return _told(AIRPORTS)

    def search_direct_flight(self, origin: str, destination: str, date: str) -> str:
        found = self._flights(date, origin, destination)
        return _told([_offer(flight, date) for flight in found])

    def search_onestop_flight(self, origin: str, destination: str, date: str) -> str:
        pairs = []
        for first in self._flights(date, origin, None):
            later = _next_day(date) if "+1" in first["scheduled_arrival_time_est"] else date
            for second in self._flights(later, first["destination"], destination):
                lands = first["scheduled_arrival_time_est"].partition("+")[0]
                if second["scheduled_departure_time_est"] >= lands:
                    legs = [_offer(first, date), _offer(second, later)]
                    pairs.append([{**legs[0], "date": date}, {**legs[1], "date": later}])
        return _told(pairs)

    def _flights(self, date: str, origin: str, destination: str | None) -> list[Record]:
        """Those from one airport on a day that can be booked."""
        return [
            flight
            for _, flight in self.tables.all("flights")
            if flight["origin"] == origin
            and destination in (None, flight["destination"])
            and flight["dates"].get(date, {}).get("status") == "available"
        ]

    def calculate(self, expression: str) -> str:
        return calculated(expression)

    def think(self, thought: str) -> str:
        return ""

    def transfer_to_human_agents(self, summary: str) -> str:
        self.over = True
        return "Transfer successful"

    # -- changing ----------------------------------------------------------------------------------

    def book_reservation(
        self,
        user_id: str,
        origin: str,
        destination: str,
        flight_type: str,
        cabin: str,
        flights: Sequence[Mapping[str, Any]],
        passengers: Sequence[Mapping[str, Any]],
        payment_methods: Sequence[Mapping[str, Any]],
        total_baggages: int,
        nonfree_baggages: int,
        insurance: str,
    ) -> str:
        user = self.tables.get("users", user_id)
        number = next((n for n in NEW_RESERVATIONS if ("reservations", n) not in self.tables), "")
        if not number:
            raise Refused("no more reservations can be made today")
        legs = [self._leg(_text(f, "flight_number"), _text(f, "date"), cabin, len(passengers))
                for f in flights]  # fmt: skip
        total = sum(leg["price"] for leg in legs) * len(passengers)
        total += INSURANCE_USD * len(passengers) if insurance == "yes" else 0
        total += BAGGAGE_USD * nonfree_baggages
        paid: dict[str, float] = {}
        for payment in payment_methods:
            method, amount = _text(payment, "payment_id"), payment.get("amount")
            if isinstance(amount, bool) or not isinstance(amount, int | float) or amount < 0:
                raise Refused("each payment needs an amount")
            paid[method] = paid.get(method, 0) + amount
            self._able_to_pay(user, method, paid[method])
        if cents(sum(paid.values())) != cents(total):
            raise Refused(f"the payments add up to {sum(paid.values())}, the price is {total}")
        user = self.tables.edit("users", user_id)
        for method, amount in paid.items():
            self._pay(user, method, amount)
        reservation = {
            "reservation_id": number,
            "user_id": user_id,
            "origin": origin,
            "destination": destination,
            "flight_type": flight_type,
            "cabin": cabin,
            "flights": legs,
            "passengers": [dict(p) for p in passengers],
            "payment_history": [{"payment_id": m, "amount": a} for m, a in paid.items()],
            "created_at": NOW,
            "total_baggages": total_baggages,
            "nonfree_baggages": nonfree_baggages,
            "insurance": insurance,
        }
        self.tables.add("reservations", number, reservation)
        user["reservations"].append(number)
        return _told(reservation)

    def cancel_reservation(self, reservation_id: str) -> str:
        reservation = self.tables.edit("reservations", reservation_id)
        if reservation.get("status") == "cancelled":
            raise Refused(f"reservation {reservation_id} is cancelled already")
        history = reservation["payment_history"]
        history += [{"payment_id": p["payment_id"], "amount": -p["amount"]} for p in [*history]]
        reservation["status"] = "cancelled"
        return _told(reservation)

    def update_reservation_flights(
        self,
        reservation_id: str,
        cabin: str,
        flights: Sequence[Mapping[str, Any]],
        payment_id: str,
    ) -> str:
        known = self.tables.get("reservations", reservation_id)
        people = len(known["passengers"])
        kept = {(f["flight_number"], f["date"]): f for f in known["flights"]}
        legs = []
        for flight in flights:
            number, date = _text(flight, "flight_number"), _text(flight, "date")
            if cabin == known["cabin"] and (number, date) in kept:
                legs.append(copy.deepcopy(kept[number, date]))
            else:
                legs.append(self._leg(number, date, cabin, people))
        change = sum(leg["price"] for leg in legs) - sum(leg["price"] for leg in known["flights"])
        self._charge(reservation_id, payment_id, change * people)
        reservation = self.tables.edit("reservations", reservation_id)
        reservation["flights"] = legs  # the cabin is not noted, as published: only its prices are
        return _told(reservation)

    def update_reservation_passengers(
        self, reservation_id: str, passengers: Sequence[Mapping[str, Any]]
    ) -> str:
        known = self.tables.get("reservations", reservation_id)
        if len(passengers) != len(known["passengers"]):
            raise Refused("the number of passengers cannot be changed")
        reservation = self.tables.edit("reservations", reservation_id)
        reservation["passengers"] = [dict(p) for p in passengers]
        return _told(reservation)

    def update_reservation_baggages(
        self, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str
    ) -> str:
        known = self.tables.get("reservations", reservation_id)
        more = max(0, nonfree_baggages - known["nonfree_baggages"])
        self._charge(reservation_id, payment_id, BAGGAGE_USD * more)
        reservation = self.tables.edit("reservations", reservation_id)
        reservation["total_baggages"] = total_baggages
        reservation["nonfree_baggages"] = nonfree_baggages
        return _told(reservation)

    def send_certificate(self, user_id: str, amount: float) -> str:
        methods = self.tables.edit("users", user_id)["payment_methods"]
        name = next((m for n in NEW_CERTIFICATES if (m := f"certificate_{n}") not in methods), "")
        if not name:
            raise Refused("no more certificates can be sent")
        methods[name] = {"source": "certificate", "amount": amount, "id": name}
        return f"Certificate {name} over {amount} was added to {user_id}."

    # -- money and seats ---------------------------------------------------------------------------

    def _leg(self, number: str, date: str, cabin: str, people: int) -> Record:
        """A flight as a reservation keeps it. Raises Refused where it cannot be booked."""
        flight = self.tables.get("flights", number)
        day = flight["dates"].get(date, {})
        if day.get("status") != "available":
            raise Refused(f"flight {number} cannot be booked on {date}")
        if day["available_seats"][cabin] < people:
            raise Refused(f"flight {number} on {date} has not enough seats in {cabin}")
        places = {"origin": flight["origin"], "destination": flight["destination"]}
        return {"flight_number": number, "date": date, "price": day["prices"][cabin], **places}

    def _able_to_pay(self, user: Record, method: str, amount: float) -> None:
        found = user["payment_methods"].get(method)
        if found is None:
            raise Refused(f"the user has no payment method {method!r}")
        if found["source"] != "credit_card" and found["amount"] < amount:
            raise Refused(f"{method} has only {found['amount']} left")

    @staticmethod
    def _pay(user: Record, method: str, amount: float) -> None:
        """A certificate is used up by one payment, whatever is left of it."""
        found = user["payment_methods"][method]
        if found["source"] == "certificate":
            del user["payment_methods"][method]
        elif found["source"] == "gift_card":
            found["amount"] = cents(found["amount"] - amount)

    def _charge(self, reservation_id: str, payment_id: str, amount: float) -> None:
        """What a change costs, or gives back. Raises Refused, before anything has changed."""
        user_id = self.tables.get("reservations", reservation_id)["user_id"]
        user = self.tables.get("users", user_id)
        self._able_to_pay(user, payment_id, amount)
        if user["payment_methods"][payment_id]["source"] == "certificate":
            raise Refused("a certificate cannot pay for a change")
        if amount:
            self._pay(self.tables.edit("users", user_id), payment_id, amount)
            history = self.tables.edit("reservations", reservation_id)["payment_history"]
            history.append({"payment_id": payment_id, "amount": amount})


#: The airports of the data, and their cities.
AIRPORTS = {
    "SFO": "San Francisco", "JFK": "New York", "LAX": "Los Angeles", "ORD": "Chicago",
    "DFW": "Dallas", "DEN": "Denver", "SEA": "Seattle", "ATL": "Atlanta", "MIA": "Miami",
    "BOS": "Boston", "PHX": "Phoenix", "IAH": "Houston", "LAS": "Las Vegas", "MCO": "Orlando",
    "EWR": "Newark", "CLT": "Charlotte", "MSP": "Minneapolis", "DTW": "Detroit",
    "PHL": "Philadelphia", "LGA": "LaGuardia",
}  # fmt: skip


def _offer(flight: Record, date: str) -> Record:
    """A flight on one day, as a search tells it."""
    told = {k: v for k, v in flight.items() if k != "dates"}
    return {**told, **{k: v for k, v in flight["dates"][date].items() if k != "status"}}


def _next_day(date: str) -> str:
    """The day after, of dates in May 2024, the only month of the data."""
    return f"{date[:8]}{int(date[8:]) + 1:02}"


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    if not isinstance(value, str):
        raise Refused(f"each needs a text {key!r}")
    return value


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def calculated(expression: str) -> str:
    """Plain arithmetic, to cents."""
    try:
        return str(cents(float(evaluate(expression))))
    except ArithmeticFault as fault:
        raise Refused(str(fault)) from None
