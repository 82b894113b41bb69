-- The sentence of a take that mails quote, where the catalogue sets it. Null: it is chosen by a rule.
alter table reviews add column quote text;
