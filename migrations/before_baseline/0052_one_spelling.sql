-- A local part in needless quotes is the same mailbox without them: "gone"@example.org is gone@example.org. Left alone where both
-- spellings are on the list.
update subscribers set email_key = replace(email_key, '"', '')
where email_key like '"_%"@%'
  and replace(email_key, '\', '') = email_key
  and email_key not like '% %' and email_key not like '%,%' and email_key not like '%;%' and email_key not like '%:%'
  and email_key not like '%(%' and email_key not like '%)%' and email_key not like '%<%' and email_key not like '%>%'
  and email_key not like '%[%' and email_key not like '%]%' and email_key not like '%@%@%'
  and email_key not like '".%' and email_key not like '%."@%' and email_key not like '%..%'
  and not exists (select 1 from subscribers o where o.email_key = replace(subscribers.email_key, '"', ''));

-- Categories that differ in case only are one: the spelling of the tool that was published first.
update tools set category = (
    select t.category from tools t where lower(t.category) = lower(tools.category) order by t.published_at, t.slug limit 1
);
