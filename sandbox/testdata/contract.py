import random
import time

import astra

sum = 0


def setup(scenario):
    global sum
    sum = scenario.get("total", 0)


def add(n):
    global sum
    sum += n
    return sum


def total():
    return sum


def roll():
    return random.random()


def clock():
    return time.time_ns() // 1_000_000


def seed():
    return astra.seed()


def note(text):
    print(text)


def echo(value):
    return value


def fail(message):
    global sum
    sum += 1
    raise ValueError(message)


def burn():
    while True:
        pass


def hog():
    held = []
    while True:
        held.append(bytearray(1 << 20))


def big(bytes):
    return "x" * bytes


def state():
    return {"total": sum}
