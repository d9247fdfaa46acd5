"""The whole stack on one machine, without Docker: `make demo` and `make run`.

* ``servers``     a private Redis and a private PostgreSQL
* ``processes``   starts and stops processes
* ``stack``       the processes, started with the commands of the README
* ``traffic``     posts a few hundred messages and shows their progress
* ``persons``     recipients who write back; ``conversation`` shows one of each provider
* ``accounting``  compares Waybill's database with the records of the simulated provider;
                  ``inbound_accounting`` does so with what recipients wrote
"""
