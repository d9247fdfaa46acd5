CREATE TABLE plain_message (
    id text PRIMARY KEY,
    "to" text NOT NULL,
    body text NOT NULL,
    status text NOT NULL
);
