"""A trading account for agents (see `paragent.worlds.service`); names and seeds are BFCL's."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from paragent.worlds.service import Fault, Service, day_of

#: The time that the trading service thinks it is.
NOW = datetime(2024, 9, 1, 10, 30)

_COMPANIES = {
    "Apple": "AAPL", "Google": "GOOG", "Tesla": "TSLA", "Microsoft": "MSFT", "Nvidia": "NVDA",
    "Zeta Corp": "ZETA", "Alpha Tech": "ALPH", "Omega Industries": "OMEG", "Quasar Ltd.": "QUAS",
    "Neptune Systems": "NEPT", "Synex Solutions": "SYNX", "Amazon": "AMZN", "Gorilla": "GORI",
}  # fmt: skip
_SECTORS = {"Technology": ["AAPL", "GOOG", "MSFT", "NVDA"], "Automobile": ["TSLA", "F", "GM"]}


class Trading(Service):
    """Stocks, a watch list, orders by number, and an account with its transactions."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "orders": {
            12345: {
                "id": 12345,
                "order_type": "Buy",
                "symbol": "AAPL",
                "price": 210.65,
                "amount": 10,
                "status": "Completed",
            },
            12446: {
                "id": 12446,
                "order_type": "Sell",
                "symbol": "GOOG",
                "price": 2840.56,
                "amount": 5,
                "status": "Pending",
            },
        },
        "account_info": {"account_id": 12345, "balance": 10000.0, "binding_card": 1974202140965533},
        "authenticated": False,
        "market_status": "Closed",
        "order_counter": 12446,
        "stocks": {},
        "watch_list": ["NVDA"],
        "transaction_history": [],
    }

    orders: dict[Any, Any]
    account_info: dict[str, Any]
    authenticated: bool
    market_status: str
    order_counter: int
    stocks: dict[str, dict[str, float]]
    watch_list: list[str]
    transaction_history: list[dict[str, Any]]

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self.orders = {int(k) if str(k).isdigit() else k: v for k, v in self.orders.items()}
        self._lot = random.Random(1053520)

    def _known(self) -> None:
        if not self.authenticated:
            raise Fault("log in first")

    def _order(self, number: int) -> dict[str, Any]:
        found = self.orders.get(number)
        if not isinstance(found, dict):
            raise Fault(f"there is no order {number}; orders: {[*self.orders]}")
        return found

    def trading_login(self, username: str, password: str) -> Any:
        was, self.authenticated = self.authenticated, True
        return {"status": "logged in already" if was else "logged in"}

    def trading_get_login_status(self) -> Any:
        return {"status": bool(self.authenticated)}

    def trading_logout(self) -> Any:
        was, self.authenticated = self.authenticated, False
        return {"status": "logged out" if was else "nobody was logged in"}

    def get_current_time(self) -> Any:
        return {"current_time": NOW.strftime("%I:%M %p")}

    def get_symbol_by_name(self, name: str) -> Any:
        return {"symbol": _COMPANIES.get(name, "Stock not found")}

    def get_stock_info(self, symbol: str) -> Any:
        if symbol not in self.stocks:
            raise Fault(f"there is no stock {symbol!r}")
        return self.stocks[symbol]

    def get_available_stocks(self, sector: str) -> Any:
        return {"stock_list": _SECTORS.get(sector, [])}

    def filter_stocks_by_price(
        self, stocks: Sequence[str], min_price: float, max_price: float
    ) -> Any:
        prices = {s: self.stocks.get(s, {}).get("price", 0) for s in stocks}
        return {"filtered_stocks": [s for s in stocks if min_price <= prices[s] <= max_price]}

    def notify_price_change(self, stocks: Sequence[str], threshold: float) -> Any:
        moved = [
            s
            for s in stocks
            if s in self.stocks and abs(self.stocks[s].get("percent_change", 0)) >= threshold
        ]
        return {"notification": f"prices changed: {', '.join(moved) or 'none'}"}

    def add_to_watchlist(self, stock: str) -> Any:
        if stock in self.stocks and stock not in self.watch_list:
            self.watch_list.append(stock)
        return {"watchlist": self.watch_list}

    def remove_stock_from_watchlist(self, symbol: str) -> Any:
        self._known()
        if symbol not in self.watch_list:
            raise Fault(f"{symbol!r} is not on the watch list")
        self.watch_list.remove(symbol)
        return {"status": f"{symbol} was removed"}

    def get_watchlist(self) -> Any:
        self._known()
        return {"watchlist": self.watch_list}

    def place_order(self, order_type: str, symbol: str, price: float, amount: int) -> Any:
        self._known()
        if symbol not in self.stocks:
            raise Fault(f"there is no stock {symbol!r}")
        if price <= 0 or amount <= 0:
            raise Fault("price and amount must be above zero")
        number = self.order_counter
        order = {"order_type": order_type, "price": float(price), "amount": amount}
        self.orders[number] = {"id": number, "symbol": symbol, **order, "status": "Open"}
        self.order_counter += 1
        return {"order_id": number, **order, "status": "Pending"}

    def get_order_details(self, order_id: int) -> Any:
        return self._order(order_id)

    def get_order_history(self) -> Any:
        self._known()
        return {"order_history": list(self.orders)}

    def cancel_order(self, order_id: int) -> Any:
        order = self._order(order_id)
        if order.get("status") == "Completed":
            raise Fault(f"order {order_id} is completed")
        order["status"] = "Cancelled"
        return {"order_id": order_id, "status": "Cancelled"}

    def get_account_info(self) -> Any:
        self._known()
        return self.account_info

    def fund_account(self, amount: float) -> Any:
        self._known()
        if amount <= 0:
            raise Fault("the amount must be above zero")
        return self._move("deposit", amount, amount)

    def withdraw_funds(self, amount: float) -> Any:
        self._known()
        if self.market_status != "Open":
            raise Fault("the market is closed")
        if not 0 < amount <= self.account_info["balance"]:
            raise Fault("the amount must be above zero and in the account")
        return self._move("withdrawal", amount, -amount)

    def _move(self, kind: str, amount: float, change: float) -> Any:
        self.account_info["balance"] += change
        at = NOW + timedelta(seconds=self._lot.randint(0, 86400))
        entry = {"type": kind, "amount": amount, "timestamp": f"{at:%Y-%m-%d %H:%M:%S}"}
        self.transaction_history.append(entry)
        return {"status": f"{kind} done", "new_balance": self.account_info["balance"]}

    def get_transaction_history(self, start_date: str = "None", end_date: str = "None") -> Any:
        self._known()
        first = "" if start_date == "None" else str(day_of(start_date))
        last = "9" if end_date == "None" else str(day_of(end_date))
        found = [t for t in self.transaction_history if first <= str(t.get("timestamp")) <= last]
        return {"transaction_history": found}
