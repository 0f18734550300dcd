"""The desk of a lending library."""

import csv
import datetime
from dataclasses import dataclass, field
from decimal import Decimal

WEEKS = datetime.timedelta(weeks=3)
FINE = Decimal("0.25")  # euros a day


@dataclass
class Book:
    id: str
    title: str
    author: str
    copies: int
    out: dict[str, datetime.date] = field(default_factory=dict)  # member -> due
    queue: list[str] = field(default_factory=list)

    @property
    def shelf(self) -> int:
        return self.copies - len(self.out)

    def card(self) -> dict:
        return {"id": self.id, "title": self.title, "author": self.author, "copies": self.copies, "on_shelf": self.shelf, "waiting": len(self.queue)}


class LibraryError(Exception):
    """What the desk says no with."""


class Library:
    def __init__(self):
        with open("data/books.csv", encoding="utf-8") as f:
            self._books = {row["id"]: Book(row["id"], row["title"], row["author"], int(row["copies"])) for row in csv.DictReader(f)}
        self._names = {"M1": "Ines", "M2": "Tomasz", "M3": "Aiko", "M4": "Bento"}
        self.owed = dict.fromkeys(self._names, Decimal(0))

    def open_day(self, scenario):
        """Fills the library: {"loans": [[member, book, days until due]], "owed": {member: euros}}."""
        today = datetime.date.today()
        for member, book, days in scenario.get("loans", []):
            self._books[book].out[member] = today + datetime.timedelta(days=days)
        for member, euros in scenario.get("owed", {}).items():
            self.owed[member] = Decimal(str(euros))

    def state(self):
        """What verifiers see."""
        return {
            "owed": self.owed,
            "loans": {b.id: b.out for b in self._books.values() if b.out},
            "queues": {b.id: b.queue for b in self._books.values() if b.queue},
        }

    def find_books(self, words: str = "", on_shelf: bool = False) -> list[dict]:
        """Searches titles and authors.

        Args:
            words: Every one of them must occur in title or author; none finds all books.
            on_shelf: Only books of which a copy is there now.
        """
        wanted = words.casefold().split()
        found = [b for b in self._books.values() if all(w in f"{b.title} {b.author}".casefold() for w in wanted) and (b.shelf or not on_shelf)]
        if not found:
            raise LibraryError("No book matches. Try fewer words.")
        return [b.card() for b in found]

    def get_member(self, member: str) -> dict:
        """Tells what a member has and owes.

        Args:
            member: The member's id, such as M2.
        """
        name = self._name(member)
        loans = [{"book": b.id, "title": b.title, "due": b.out[member]} for b in self._books.values() if member in b.out]
        return {"id": member, "name": name, "owed": self.owed[member], "loans": loans}

    def lend(self, member: str, book: str) -> dict:
        """Lends a copy.

        Args:
            member: The member's id, such as M2.
            book: The book's id, such as B3.
        """
        name, b = self._name(member), self._book(book)
        if self.owed[member] > 0:
            raise LibraryError(f"{name} owes {self.owed[member]} euros, which must be paid first.")
        if member in b.out:
            raise LibraryError(f"{name} has {b.title} already.")
        if b.shelf < 1:
            raise LibraryError(f"No copy of {b.title} is on the shelf; it can be reserved.")
        if b.queue and b.queue[0] != member:
            raise LibraryError(f"{self._names[b.queue[0]]} waits for {b.title}.")
        b.queue[:1] = []
        b.out[member] = datetime.date.today() + WEEKS
        return {"book": b.id, "member": member, "due": b.out[member]}

    def take_back(self, member: str, book: str) -> dict:
        """Takes a copy back.

        Args:
            member: The member's id, such as M2.
            book: The book's id, such as B3.
        """
        name, b = self._name(member), self._book(book)
        if member not in b.out:
            raise LibraryError(f"{name} does not have {b.title}.")
        late = max((datetime.date.today() - b.out.pop(member)).days, 0)
        self.owed[member] += FINE * late
        return {"book": b.id, "days_late": late, "fine": FINE * late, "owed": self.owed[member]}

    def reserve(self, member: str, book: str) -> dict:
        """Queues for a book.

        Args:
            member: The member's id, such as M2.
            book: The book's id, such as B3.
        """
        name, b = self._name(member), self._book(book)
        if b.shelf > 0 and not b.queue:
            raise LibraryError(f"A copy of {b.title} is on the shelf: lend it.")
        if member in b.queue or member in b.out:
            raise LibraryError(f"{name} has {b.title}, or waits for it already.")
        b.queue.append(member)
        return {"book": b.id, "place": len(b.queue)}

    def pay(self, member, amount):
        name, amount = self._name(member), Decimal(str(amount))
        if amount > self.owed[member]:
            raise LibraryError(f"{name} owes {self.owed[member]} euros only.")
        self.owed[member] -= amount
        return {"member": member, "owed": self.owed[member]}

    def _name(self, member):
        if member not in self._names:
            raise LibraryError(f"There is no member {member[:40]}; ids are {', '.join(self._names)}.")
        return self._names[member]

    def _book(self, book):
        if book not in self._books:
            raise LibraryError(f"There is no book {book[:40]}; find_books tells their ids.")
        return self._books[book]
