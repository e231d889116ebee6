"""Runs cases of the Autobahn suite against a server, and prints what became of each as JSON: `autobahn_cases.py ws://address/echo 1.* 2.*`.

A process of its own, as the runner does not always survive its interpreter's end.
"""

import asyncio
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient


async def run(url, cases):
    try:
        results = await run_fuzzingclient(url, cases=cases or None, concurrency=2)
    except FailureError as failure:
        results = failure.results
    for result in results:
        verdict = [result.behavior.value, result.behavior_close.value]
        print(json.dumps({"case": result.case_id, "verdict": verdict, "why": [result.result, result.result_close]}))
    sys.stdout.flush()


asyncio.run(run(sys.argv[1], sys.argv[2:]))
os._exit(0)
