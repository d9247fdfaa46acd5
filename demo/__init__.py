"""The whole stack on one machine, with nothing installed: `make demo` and `make run`.

* ``servers``     a private Redis and a private PostgreSQL
* ``stack``       the processes, started with the commands of the README
* ``traffic``     a few hundred messages, and what the terminal shows while they travel
* ``accounting``  what became of them, by two witnesses: Waybill's database, the carrier's books
"""
