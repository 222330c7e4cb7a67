"""A car for agents (see `paragent.worlds.service`); postal codes and distances are BFCL's."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from paragent.worlds.service import Fault, Service

_ZIP = {
    "Rivermist": "83214", "Stonebrook": "74532", "Maplecrest": "56108", "Silverpine": "62947",
    "Shadowridge": "71354", "Sunset Valley": "83462", "Oakendale": "47329", "Willowbend": "52013",
    "Crescent Hollow": "69238", "Autumnville": "51479", "San Francisco": "94016",
}  # fmt: skip
#: Distances in km between two postal codes, in either order.
_KM = {
    ("74532", "83214"): 750.0, ("56108", "62947"): 320.0, ("71354", "83462"): 450.0,
    ("47329", "52013"): 290.0, ("51479", "69238"): 630.0, ("83214", "94016"): 980.0,
    ("94016", "94704"): 600.0, ("08540", "94704"): 2550.0, ("08540", "94016"): 1950.0,
    ("47329", "62947"): 1053.0, ("62947", "94016"): 780.0, ("74532", "94016"): 880.0,
}  # fmt: skip
_TANK, _MILES_PER_GALLON, _BRAKE_NEWTONS = 50, 20.0, 1000.0
_TIRES = ("frontLeftTirePressure", "frontRightTirePressure", "rearLeftTirePressure",
          "rearRightTirePressure")  # fmt: skip


class Vehicle(Service):
    """A car: engine, doors, fuel, brakes, climate, lights, cruise control and navigation."""

    defaults: ClassVar[Mapping[str, Any]] = {
        "fuelLevel": 0.0,
        "batteryVoltage": 12.6,
        "engineState": "stopped",
        "doorStatus": dict.fromkeys(("driver", "passenger", "rear_left", "rear_right"), "unlocked"),
        "acTemperature": 25.0,
        "fanSpeed": 50,
        "acMode": "auto",
        "humidityLevel": 50.0,
        "headLightStatus": "off",
        "parkingBrakeStatus": "released",
        "brakePedalStatus": "released",
        "distanceToNextVehicle": 50.0,
        "cruiseStatus": "inactive",
        "destination": "None",
        **dict.fromkeys(_TIRES[:2], 32.0),
        **dict.fromkeys(_TIRES[2:], 30.0),
    }

    fuelLevel: float
    batteryVoltage: float
    engineState: str
    doorStatus: dict[str, str]
    acTemperature: float
    fanSpeed: int
    acMode: str
    humidityLevel: float
    headLightStatus: str
    parkingBrakeStatus: str
    brakePedalStatus: str
    distanceToNextVehicle: float
    cruiseStatus: str
    destination: str

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self._parking_force = float(scenario.get("parkingBrakeForce", 0.0))
        self._slope = float(scenario.get("slopeAngle", 0.0))
        self._pedal_force = float(scenario.get("brakePedalForce", 0.0))
        self._lot = random.Random(141053)

    def _open_doors(self) -> list[str]:
        return [door for door, status in self.doorStatus.items() if status != "locked"]

    def startEngine(self, ignitionMode: str) -> Any:
        if ignitionMode == "STOP":
            self.engineState = "stopped"
        elif ignitionMode != "START":
            raise Fault("ignitionMode must be START or STOP")
        else:
            if self._open_doors():
                raise Fault(f"lock the doors first: {', '.join(self._open_doors())}")
            if self._pedal_force != _BRAKE_NEWTONS:
                raise Fault("press the brake pedal fully first")
            if self.fuelLevel < 0:
                raise Fault("the tank is empty")
            self.engineState = "running"
        told = {"fuelLevel": self.fuelLevel, "batteryVoltage": self.batteryVoltage}
        return {"engineState": self.engineState, **told}

    def fillFuelTank(self, fuelAmount: float) -> Any:
        if fuelAmount < 0 or self.fuelLevel + fuelAmount > _TANK:
            raise Fault(f"the tank holds {_TANK} gallons, and there are {self.fuelLevel} in it")
        self.fuelLevel += fuelAmount
        return {"fuelLevel": self.fuelLevel}

    def lockDoors(self, unlock: bool, door: Sequence[str]) -> Any:
        unknown = [d for d in door if d not in self.doorStatus]
        if unknown:
            raise Fault(f"there is no door {unknown[0]!r}; doors: {', '.join(self.doorStatus)}")
        status = "unlocked" if unlock else "locked"
        self.doorStatus.update(dict.fromkeys(door, status))
        return {"lockStatus": status, "remainingUnlockedDoors": len(self._open_doors())}

    def adjustClimateControl(
        self,
        temperature: float,
        unit: str = "celsius",
        fanSpeed: int = 50,
        mode: str = "auto",
    ) -> Any:
        if not 0 <= fanSpeed <= 100:
            raise Fault("fanSpeed must be from 0 to 100")
        if mode not in ("auto", "cool", "heat", "defrost"):
            raise Fault("mode must be auto, cool, heat or defrost")
        celsius = (temperature - 32) * 5 / 9 if unit == "fahrenheit" else temperature
        self.acTemperature, self.fanSpeed, self.acMode = celsius, fanSpeed, mode
        told = {"climateMode": mode, "humidityLevel": self.humidityLevel}
        return {"currentTemperature": celsius, **told}

    def get_outside_temperature_from_google(self) -> Any:
        return {"outsideTemperature": self._lot.uniform(-10.0, 40.0)}

    def get_outside_temperature_from_weather_com(self) -> Any:
        raise Fault("404: not found")

    def get_current_speed(self) -> Any:
        return {"currentSpeed": self._lot.uniform(0.0, 120.0)}

    def setHeadlights(self, mode: str) -> Any:
        if mode not in ("on", "off", "auto"):
            raise Fault("mode must be on, off or auto")
        self.headLightStatus = "on" if mode == "on" else "off"
        return {"headlightStatus": self.headLightStatus}

    def displayCarStatus(self, option: str) -> Any:
        told: dict[str, dict[str, Any]] = {
            "fuel": {"fuelLevel": self.fuelLevel},
            "battery": {"batteryVoltage": self.batteryVoltage},
            "doors": {"doorStatus": self.doorStatus},
            "climate": {
                "currentACTemperature": self.acTemperature,
                "fanSpeed": self.fanSpeed,
                "climateMode": self.acMode,
                "humidityLevel": self.humidityLevel,
            },
            "headlights": {"headlightStatus": self.headLightStatus},
            "parkingBrake": {
                "parkingBrakeStatus": self.parkingBrakeStatus,
                "parkingBrakeForce": self._parking_force,
                "slopeAngle": self._slope,
            },
            "brakePedal": {
                "brakePedalStatus": self.brakePedalStatus,
                "brakePedalForce": self._pedal_force,
            },
            "engine": {"engineState": self.engineState},
        }
        if option not in told:
            raise Fault(f"option must be one of {', '.join(told)}")
        return {"status": told[option]}

    def activateParkingBrake(self, mode: str) -> Any:
        if mode not in ("engage", "release"):
            raise Fault("mode must be engage or release")
        self.parkingBrakeStatus = f"{mode}d"
        self._parking_force, self._slope = (500.0 if mode == "engage" else 0.0), 10.0
        force = {"_parkingBrakeForce": self._parking_force, "_slopeAngle": self._slope}
        return {"parkingBrakeStatus": self.parkingBrakeStatus, **force}

    def pressBrakePedal(self, pedalPosition: float) -> Any:
        if not 0 <= pedalPosition <= 1:
            raise Fault("pedalPosition must be from 0 to 1")
        self._pedal_force = pedalPosition * _BRAKE_NEWTONS
        self.brakePedalStatus = "pressed" if pedalPosition else "released"
        return {"brakePedalStatus": self.brakePedalStatus, "brakePedalForce": self._pedal_force}

    def releaseBrakePedal(self) -> Any:
        return self.pressBrakePedal(0.0)

    def setCruiseControl(
        self,
        speed: float,
        activate: bool,
        distanceToNextVehicle: float,
    ) -> Any:
        if self.engineState == "stopped":
            raise Fault("start the engine first")
        if activate and (not 0 <= speed <= 120 or speed % 5):
            raise Fault("speed must be a multiple of 5 from 0 to 120")
        self.cruiseStatus = "active" if activate else "inactive"
        self.distanceToNextVehicle = float(distanceToNextVehicle)
        told = {"currentSpeed": float(speed), "distanceToNextVehicle": self.distanceToNextVehicle}
        return {"cruiseStatus": self.cruiseStatus, **told}

    def display_log(self, messages: Sequence[str]) -> Any:
        return {"log": list(messages)}

    def estimate_drive_feasibility_by_mileage(self, distance: float) -> Any:
        return {"canDrive": self.fuelLevel * _MILES_PER_GALLON >= distance}

    def liter_to_gallon(self, liter: float) -> Any:
        return {"gallon": liter * 0.264172}

    def gallon_to_liter(self, gallon: float) -> Any:
        return {"liter": gallon * 3.78541}

    def get_zipcode_based_on_city(self, city: str) -> Any:
        return {"zipcode": _ZIP.get(city, "00000")}

    def estimate_distance(self, cityA: str, cityB: str) -> Any:
        one, two = sorted((cityA, cityB))
        if (one, two) not in _KM:
            raise Fault("the distance is not known")
        return {"distance": _KM[one, two]}

    def set_navigation(self, destination: str) -> Any:
        self.destination = destination
        return {"status": f"on the way to {destination}"}

    def check_tire_pressure(self) -> Any:
        pressures = {name: float(getattr(self, name)) for name in _TIRES}
        healthy = 30 <= sum(pressures.values()) / 4 <= 35
        return {"tirePressure": {**pressures, "healthy_tire_pressure": healthy, "car_info": {}}}

    def find_nearest_tire_shop(self) -> Any:
        return {"shopLocation": "456 Oakwood Avenue, Rivermist, 83214"}
