// A travel desk: places and their clocks, countries, a timetable, and bookings.
//
// Places, clocks and countries are real (data/, written by examples/scripts/travel_data.py).
// The flights are not: which there are and when they leave follows from the two places
// alone, so that tasks may name them; fares and seats follow from the seed as well.

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const HORIZON = 30; // days for which seats are sold; the offsets in places.json hold that long

let places, hubs, gateways, nations; // never changed
let bookings, full, salt; // the world of this episode

// setup makes the world. A scenario may set
//   bookings: [{flight, date, travellers}]  what is booked already
//   full: [{flight, date}]                  flights without seats
// Whatever the seed, every other flight begins with at least ten seats.
export function setup(scenario, host) {
  salt = Math.floor(host.random() * 2 ** 32);
  full = new Set((scenario?.full ?? []).map((f) => `${f.flight} ${f.date}`));
  bookings = {};
  for (const { flight, date, travellers } of scenario?.bookings ?? []) {
    book(flightOn(flight, date, host), date, travellers);
  }
}

// state keeps bookings by their codes, so that the order in which they were made does not show.
export function state() {
  return { bookings };
}

// ---- places and clocks

export function find_place({ query }, host) {
  const words = fold(query).split(" ").filter(Boolean);
  const found = [...places.values()].filter((p) => {
    return words.every((word) => p.text.includes(word));
  });
  if (found.length === 0 || words.length === 0) {
    throw new Error("No place matches. Use the English name of a large city or of a country; small towns are not listed.");
  }
  const exact = (p) => (fold(p.city) === words.join(" ") ? 0 : 1);
  found.sort((a, b) => exact(a) - exact(b) || (a.code < b.code ? -1 : 1));
  return { total: found.length, places: found.slice(0, 30).map((p) => describe(p, host)) };
}

export function get_country({ country }, host) {
  const wanted = fold(country);
  const found = [...all(host).values()].find((n) => [n.code, n.alpha3, ...n.names].some((name) => fold(name) === wanted));
  if (!found) {
    throw new Error(`No country is called '${country}'. Use its English name, or its two- or three-letter code.`);
  }
  const mine = [...places.values()].filter((p) => p.country === found.code);
  const [short_name, name, official_name] = found.names;
  return {
    code: found.code,
    alpha3: found.alpha3,
    number: found.number,
    name,
    short_name,
    official_name,
    divisions: Object.entries(found.divisions).map(([kind, count]) => ({ kind, count })),
    offsets: [...new Set(mine.map((p) => p.offset))].sort((a, b) => a - b).map(sign),
    places: mine.length,
  };
}

export function get_time({ place }, host) {
  const p = placeOf(place);
  const local = clock(host.now(), p.offset);
  return { place, city: p.city, local, weekday: weekday(local) };
}

export function convert_time({ time, from, to }, host) {
  const a = placeOf(from);
  const b = placeOf(to);
  const utc = Date.parse(`${time}:00Z`) - a.offset * MINUTE;
  if (Number.isNaN(utc)) throw new Error(`There is no such time as ${time}. Write it like 2026-06-10T09:30.`);
  if (utc < host.now() - DAY || utc > host.now() + (HORIZON + 2) * DAY) {
    throw new Error(`Clocks are known only for ${HORIZON} days from now. Choose a nearer time.`);
  }
  const there = clock(utc, b.offset);
  return { from: clock(utc, a.offset), to: there, weekday: weekday(there), minutes_ahead: b.offset - a.offset };
}

// ---- timetable

export function list_destinations({ from, country }, host) {
  const start = placeOf(from);
  const found = neighbours(start).filter((p) => !country || p.country === country);
  return {
    from,
    destinations: found.map((p) => ({ place: p.code, city: p.city, country: nation(p.country, host).names[0], minutes: minutesBetween(start, p) })),
  };
}

export function find_flights({ from, to, date, days = 1, sort = "departure" }, host) {
  const a = placeOf(from);
  const b = placeOf(to);
  const first = dayOf(date, host);
  if (!direct(a, b)) return { from, to, flights: [], via: changes(a, b) };
  const flights = [];
  for (let d = 0; d < days; d++) {
    const day = new Date(first + d * DAY).toISOString().slice(0, 10);
    if (d > 0 && first + d * DAY > lastDay(host)) break;
    for (let slot = 1; slot <= slots(a, b); slot++) flights.push(offer(a, b, slot, day));
  }
  if (sort === "fare") flights.sort((x, y) => x.fare - y.fare || (x.departs < y.departs ? -1 : 1));
  return { from, to, flights, via: [] };
}

// ---- bookings

export function book_flight({ flight, date, travellers }, host) {
  return book(flightOn(flight, date, host), date, travellers);
}

export function change_booking({ code, flight, date }, host) {
  const old = bookingOf(code);
  const next = flightOn(flight, date, host);
  if (old.flight === flight && old.date === date) throw new Error(`Booking ${code} is for that flight already; nothing is left to do.`);
  seatsFor(next, old.travellers.length);
  freeFor(next, old.travellers, code);
  const { departs, arrives, fare } = next;
  const paid = cents(Math.max(old.paid, fare * old.travellers.length) + 25 * old.travellers.length);
  bookings[code] = { ...old, flight, date, departs, arrives, paid };
  return bookings[code];
}

export function cancel_booking({ code }) {
  const booking = bookingOf(code);
  const refunded = cents(booking.paid * 0.8);
  bookings[code] = { ...booking, status: "cancelled", paid: cents(booking.paid - refunded) };
  return { code, status: "cancelled", refunded };
}

export function list_bookings({ traveller, status }) {
  const wanted = traveller && fold(traveller);
  const found = Object.values(bookings).filter((b) => (!status || b.status === status) && (!wanted || b.travellers.some((t) => fold(t).includes(wanted))));
  found.sort((a, b) => Date.parse(a.departs) - Date.parse(b.departs) || (a.code < b.code ? -1 : 1));
  return { bookings: found };
}

// book makes a booking whose code follows from what is booked; a second equal one, made
// after the first was cancelled, gets "-2". travellers are kept sorted, as their order says nothing.
function book(offered, date, names) {
  const travellers = [...new Set(names.map((name) => name.trim()))].sort();
  seatsFor(offered, travellers.length);
  freeFor(offered, travellers, "");
  const { flight, departs, arrives, fare } = offered;
  const base = `BK-${hash(`${flight} ${date} ${travellers.join(", ")}`).toString(36).toUpperCase().padStart(7, "0")}`;
  let code = base;
  for (let n = 2; code in bookings; n++) code = `${base}-${n}`;
  bookings[code] = { code, flight, date, travellers, departs, arrives, paid: cents(fare * travellers.length), status: "booked" };
  return bookings[code];
}

function seatsFor({ flight, seats }, wanted) {
  if (seats >= wanted) return;
  const left = seats === 0 ? "is full" : `has only ${seats} seats left`;
  throw new Error(`Flight ${flight} ${left} on that day. Look for another flight or another day.`);
}

function freeFor({ departs, arrives }, travellers, except) {
  for (const b of Object.values(bookings)) {
    const apart = b.code === except || b.status !== "booked" || Date.parse(b.arrives) <= Date.parse(departs) || Date.parse(b.departs) >= Date.parse(arrives);
    const who = travellers.find((t) => b.travellers.includes(t));
    if (!apart && who) throw new Error(`${who} is on flight ${b.flight} at that time (booking ${b.code}). Change or cancel that booking first.`);
  }
}

function bookingOf(code) {
  const booking = bookings[code];
  if (!booking) throw new Error(`There is no booking ${code}. List the bookings to see their codes.`);
  if (booking.status !== "booked") throw new Error(`Booking ${code} is cancelled. Make a new one instead.`);
  return booking;
}

// ---- the network

function direct(a, b) {
  return (hubs.has(a.code) && hubs.has(b.code) && a !== b) || serves(a, b) || serves(b, a);
}

function serves(hub, place) {
  return gateways.get(place.code)?.includes(hub.code) ?? false;
}

function neighbours(place) {
  return [...places.values()].filter((p) => direct(place, p));
}

// changes lists where to fly first when there is no direct flight: where one change is
// enough if there is such a place, else the hubs that serve the start.
function changes(a, b) {
  if (a === b) throw new Error("Start and destination are the same place.");
  const near = neighbours(a).map((p) => p.code);
  const far = new Set(neighbours(b).map((p) => p.code));
  const common = near.filter((code) => far.has(code));
  if (near.length === 0 || far.size === 0) throw new Error(`No flights serve ${(near.length === 0 ? a : b).city}. Choose another place.`);
  return (common.length > 0 ? common : near).map((code) => ({ place: code, city: places.get(code).city }));
}

function slots(a, b) {
  return minutesBetween(a, b) > 400 ? 2 : 3;
}

// offer is a flight as it is sold on a day: the first one leaves between six and nine
// in the morning, local time, the last one before eight in the evening.
function offer(a, b, slot, date) {
  const flight = `${a.code}-${b.code}-${slot}`;
  const gap = slots(a, b) === 2 ? 480 : 300;
  const minutes = minutesBetween(a, b);
  const local = 360 + 5 * (hash(`${a.code}-${b.code}`) % 37) + gap * (slot - 1);
  const departs = Date.parse(`${date}T00:00:00Z`) + (local - a.offset) * MINUTE;
  const luck = hash(`${salt} ${flight} ${date}`);
  const fare = cents((35 + 0.075 * (minutes - 35) * 14) * (0.75 + (luck % 5000) / 10000));
  return {
    flight,
    date,
    from: a.code,
    to: b.code,
    departs: clock(departs, a.offset),
    arrives: clock(departs + minutes * MINUTE, b.offset),
    minutes,
    seats: full.has(`${flight} ${date}`) ? 0 : seatsLeft(flight, date, 10 + (luck >>> 16) % 30),
    fare,
  };
}

function seatsLeft(flight, date, seats) {
  for (const b of Object.values(bookings)) {
    if (b.status === "booked" && b.flight === flight && b.date === date) seats -= b.travellers.length;
  }
  return Math.max(0, seats);
}

function flightOn(flight, date, host) {
  const [from, to, slot] = flight.split("-");
  const a = places.get(from);
  const b = places.get(to);
  if (!a || !b || !direct(a, b) || Number(slot) < 1 || Number(slot) > slots(a, b)) {
    throw new Error(`There is no flight ${flight}. Look the flights up first and use the number given there.`);
  }
  dayOf(date, host);
  const found = offer(a, b, Number(slot), date);
  if (Date.parse(found.departs) <= host.now()) throw new Error(`Flight ${flight} has left already on ${date}. Take a later one.`);
  return found;
}

function dayOf(date, host) {
  const day = Date.parse(`${date}T00:00:00Z`);
  if (Number.isNaN(day) || new Date(day).toISOString().slice(0, 10) !== date) throw new Error(`There is no such day as ${date}. Write it like 2026-06-10.`);
  const today = Math.floor(host.now() / DAY) * DAY;
  if (day < today || day > lastDay(host)) {
    throw new Error(`Seats are sold from ${new Date(today).toISOString().slice(0, 10)} to ${new Date(lastDay(host)).toISOString().slice(0, 10)}. Choose a day between them.`);
  }
  return day;
}

function lastDay(host) {
  return Math.floor(host.now() / DAY) * DAY + HORIZON * DAY;
}

// minutesBetween is the time in the air at 14 km a minute, and 35 minutes for take-off and
// landing, in steps of five.
function minutesBetween(a, b) {
  const rad = (degrees) => (degrees * Math.PI) / 180;
  const [lat1, lat2] = [rad(a.latitude), rad(b.latitude)];
  const h = Math.sin((lat2 - lat1) / 2) ** 2 + Math.cos(lat1) * Math.cos(lat2) * Math.sin(rad(b.longitude - a.longitude) / 2) ** 2;
  const km = 2 * 6371 * Math.asin(Math.sqrt(h));
  return Math.round((km / 14 + 35) / 5) * 5;
}

// ---- reading the data

function readPlaces(host) {
  const network = JSON.parse(host.data("network.json"));
  hubs = new Set(network.hubs);
  gateways = new Map(network.rows.map(([code, ...near]) => [code, near]));
  const rows = JSON.parse(host.data("places.json")).rows;
  places = new Map(
    rows.map(([code, city, country, zone, latitude, longitude, offset]) => {
      const text = `${fold(city)} ${fold(nation(country, host).names.join(" "))} ${code.toLowerCase()}`; // what find_place looks at
      return [code, { code, city, country, zone, latitude, longitude, offset, text }];
    }),
  );
}

function all(host) {
  nations ??= new Map(
    JSON.parse(host.data("countries.json")).rows.map(([code, alpha3, number, short, name, official, divisions]) => [
      code,
      { code, alpha3, number, names: [short, name, official], divisions },
    ]),
  );
  return nations;
}

function nation(code, host) {
  return all(host).get(code);
}

function placeOf(code) {
  const place = places.get(code);
  if (!place) throw new Error(`There is no place with the code ${code}. Look the city up to learn its code, which looks like FR01.`);
  return place;
}

function describe({ code, city, country, zone, latitude, longitude, offset }, host) {
  return { code, city, country: nation(country, host).names[0], country_code: country, zone, offset: sign(offset), latitude, longitude };
}

// ---- small things

// clock writes an instant as a wall clock shows it: 2026-06-10T09:30+02:00.
function clock(ms, offset) {
  return new Date(ms + offset * MINUTE).toISOString().slice(0, 16) + sign(offset);
}

function sign(offset) {
  const minutes = Math.abs(offset);
  const two = (n) => String(n).padStart(2, "0");
  return `${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

function weekday(local) {
  const names = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  return names[new Date(`${local.slice(0, 10)}T00:00:00Z`).getUTCDay()];
}

// fold makes names comparable: small letters without accents, words set apart by one space.
function fold(text) {
  return text
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, " ")
    .trim();
}

function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

function cents(amount) {
  return Math.round(amount * 100) / 100;
}

// Once for the arena: every world begins with what is read here.
readPlaces(host);
