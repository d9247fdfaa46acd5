// Reads cases as JSON from standard input, and prints for each and each package whether it verifies.
import * as standardwebhooks from "standardwebhooks";
import * as svix from "svix";
import { readFileSync } from "node:fs";

function verifies(Webhook, { secret, body, headers }) {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

const cases = JSON.parse(readFileSync(0, "utf8"));
const packages = { standardwebhooks, svix };
const results = Object.entries(packages).map(([name, { Webhook }]) => [
  name,
  cases.map((each) => verifies(Webhook, each)),
]);
console.log(JSON.stringify(Object.fromEntries(results)));
