-- What sending at the speed of the wire asks of the ledger.

-- Which relay a mail was handed to last.
alter table deliveries add column relay text;
