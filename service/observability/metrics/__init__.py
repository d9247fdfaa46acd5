"""What is counted, for Prometheus: docs/metrics.md lists it, a test holds the list to the code.

* ``instruments`` every counter and histogram; ``counting`` the calls that the other rooms make.
* ``readings``    what is asked of the database and Redis when somebody looks; never often.
* ``processes``   several processes of one web server answer as one.
* ``exposition``  all of it as text.

No label holds a phone number, an id, or anything else that a stranger may choose.
"""

from service.observability.metrics import processes

# The client library looks once, when it is imported, for where to keep its numbers.
processes.share()
