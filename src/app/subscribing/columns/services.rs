//! Services whose exports are known, each by its whole header.
//!
//! A service is recognised by what only its exports have and by how much of the header it explains: the one that explains most wins.
//! Being recognised gives a row its source and a word its local meaning; whether somebody left is read from the columns themselves,
//! in any file.

/// A service that people come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// The source of its people.
    pub name: &'static str,
    /// Squeezed names that must all be there.
    needs: &'static [&'static str],
    /// One of them must be there too, where there are any.
    marks: &'static [&'static str],
    /// Further columns of its exports.
    knows: &'static [&'static str],
    /// True if a column beyond these means that it is another service's file.
    is_closed: bool,
    /// Names as its exports spell them, where another service's differ in spelling only.
    spelled: &'static [&'static str],
}

const fn open(
    name: &'static str,
    needs: &'static [&'static str],
    marks: &'static [&'static str],
    knows: &'static [&'static str],
) -> Service {
    Service {
        name,
        needs,
        marks,
        knows,
        is_closed: false,
        spelled: &[],
    }
}

const fn closed(
    name: &'static str,
    needs: &'static [&'static str],
    marks: &'static [&'static str],
    knows: &'static [&'static str],
) -> Service {
    Service {
        name,
        needs,
        marks,
        knows,
        is_closed: true,
        spelled: &[],
    }
}

#[rustfmt::skip]
const SERVICES: &[Service] = &[
    open("mailchimp", &[], &["leid", "euid", "optintime", "confirmtime", "unsubtime", "cleantime"], &[
        "emailaddress", "firstname", "lastname", "address", "phonenumber", "birthday", "memberrating", "optintime", "optinip", "confirmtime", "confirmip", "latitude", "longitude", "gmtoff", "dstoff", "timezone",
        "cc", "region", "lastchanged", "leid", "euid", "notes", "tags", "unsubtime", "unsubcampaigntitle", "unsubcampaignid", "unsubreason", "unsubreasonother", "cleantime", "cleancampaigntitle", "cleancampaignid"]),
    open("substack", &["email"], &["activesubscription", "emaildisabled"], &[
        "name", "activesubscription", "expiry", "plan", "emaildisabled", "createdat", "firstpaymentat", "digestenabled", "canceldate", "startdate", "paidupgradedate", "type", "stripeplan"]),
    open("ghost", &["email"], &["subscribedtoemails", "complimentaryplan"], &[
        "id", "name", "note", "subscribedtoemails", "complimentaryplan", "stripecustomerid", "createdat", "deletedat", "labels", "tiers", "newsletters"]),
    open("listmonk", &["uuid", "email", "attributes"], &[], &["id", "name", "status", "lists", "createdat", "updatedat"]),
    open("buttondown", &[], &["subscribertype", "creationdate", "unsubscriptiondate"], &[
        "id", "email", "emailaddress", "notes", "metadata", "tags", "type", "subscribertype", "source", "creationdate", "unsubscriptiondate", "unsubscriptionreason", "undeliverabilitydate", "undeliverabilityreason",
        "churndate", "referrerurl", "ipaddress", "utmcampaign", "utmmedium", "utmsource", "lastopendate", "lastclickdate", "secondaryid", "riskscore", "avatarurl", "stripecustomerid", "referralcode"]),
    open("beehiiv", &["email", "status"], &["tier", "subscriptiontier", "subscriptionid", "utmsource", "acquisitionsource", "referralcode"], &[
        "id", "firstname", "lastname", "tier", "subscriptiontier", "subscriptionid", "premiumtiers", "createdat", "unsubscribedat", "utmsource", "utmmedium", "utmcampaign", "utmterm", "utmcontent", "referringsite", "acquisitionsource",
        "referralcode", "stripecustomerid", "totalreferrals", "openrate", "clickrate", "clickthroughrate", "emailssent", "uniqueemailopens"]),
    // Its "inactive" is somebody who has not confirmed, anywhere else somebody who left: so nothing that is not Kit's may stand there.
    Service { spelled: &["Status", "Created At"], ..closed("kit", &["email", "status", "firstname", "createdat"], &[], &["subscriberid", "tags"]) },
    closed("keila", &["email", "firstname", "lastname", "status"], &[], &["externalid", "data"]),
    open("brevo", &["email"], &["emailblacklisted", "emailblocklisted", "blocklisted", "contactid", "addedtime"], &[
        "contactid", "firstname", "lastname", "prenom", "nom", "sms", "whatsapp", "addedtime", "modifiedtime", "emailblacklisted", "smsblacklisted", "optin", "doubleoptin", "listids", "extid", "jobtitle"]),
    open("klaviyo", &["email"], &["klaviyoid", "emailmarketingconsent", "emailmarketingconsenttimestamp", "emailsuppressions"], &[
        "firstname", "lastname", "phonenumber", "organization", "title", "emailmarketingconsent", "emailmarketingconsenttimestamp", "smsmarketingconsent", "smsmarketingconsenttimestamp", "emailsuppressions", "source",
        "city", "region", "country", "zipcode", "lastopen", "lastclick", "firstactive", "lastactive", "profilecreatedon", "datecreated"]),
    open("shopify", &["email"], &["acceptsemailmarketing", "acceptsmarketing"], &[
        "customerid", "firstname", "lastname", "acceptsemailmarketing", "acceptsmarketing", "acceptssmsmarketing", "company", "address1", "address2", "city", "province", "provincecode", "country", "countrycode", "zip", "phone",
        "defaultaddresscompany", "defaultaddressaddress1", "totalspent", "totalorders", "tags", "note", "taxexempt"]),
    open("hubspot", &["email"], &["recordid", "unsubscribedfromallemail", "marketingcontactstatus", "contactowner"], &[
        "firstname", "lastname", "phonenumber", "contactowner", "leadstatus", "marketingcontactstatus", "createdate", "lifecyclestage", "lastactivitydate", "associatedcompany"]),
    open("mailerlite", &[], &["optindate", "optinip", "confirmationdate", "unsubscribedate"], &[
        "email", "subscriber", "name", "lastname", "status", "sent", "opens", "clicks", "opened", "clicked", "subscribed", "location", "company", "country", "city", "phone", "state", "zip", "signupip", "signuptimestamp", "confirmationip"]),
    open("constant-contact", &["emailaddress"], &["emailpermissionstatus", "emailstatus", "confirmedoptoutdate"], &["firstname", "lastname", "company", "jobtitle", "emaillists", "emailupdatesource", "createdat", "updatedat", "tags"]),
    open("aweber", &["email"], &["stoptime", "stopstatus", "dateadded"], &["name", "firstname", "lastname", "status", "verified", "adtracking", "ipaddress", "country", "region", "city", "miscnotes", "verifiedtime", "addmethod"]),
    open("cleverreach", &["email"], &["activated", "deactivated"], &["id", "registered", "source", "bounced", "lastip", "imported", "points", "stars", "lastlocation"]),
    open("mailpoet", &["email"], &["globalstatus", "liststatus"], &["firstname", "lastname", "listname", "list", "createdat", "subscribedip", "confirmedip"]),
    open("wix", &[], &["emailsubscriberstatus", "emaildeliverabilitystatus", "smssubscriberstatus"], &["firstname", "lastname", "email1", "phone1", "labels", "createdatutc0", "source", "language", "lastactivity"]),
    open("mailjet", &["email"], &["isexcludedfromcampaigns", "isspamcomplaining", "isoptinpending"], &["name", "createdat", "contactid"]),
    open("drip", &["email"], &["euconsent", "eu_consent", "basevisitoruuid", "leadscore"], &["status", "firstname", "lastname", "createdat", "timezone", "tags", "lifetimevalue"]),
    open("omnisend", &["email", "emailstatus"], &[], &["phone", "smsstatus", "firstname", "lastname", "country", "tags", "createdat"]),
    open("phplist", &["email"], &["blacklisted", "htmlemail", "foreignkey"], &["confirmed", "optedin", "uniqid", "entered", "modified", "disabled", "subscribepage", "rssfrequency"]),
    open("resend", &["email", "unsubscribed"], &[], &["id", "firstname", "lastname", "createdat"]),
];

/// The service that a header, in squeezed names and as it is spelled, comes from; `None` for one made by hand, by us, or by somebody else.
pub fn recognise(header: &[String], spelled: &[String]) -> Option<&'static Service> {
    let explained = |service: &Service| header.iter().filter(|name| service.explains(name)).count();
    let fits = |service: &&Service| {
        let has = |wanted: &&str| header.iter().any(|name| name == wanted);
        let whole = explained(service) == header.len();
        service.needs.iter().all(&has)
            && (service.marks.is_empty() || service.marks.iter().any(has))
            && service
                .spelled
                .iter()
                .all(|wanted| spelled.iter().any(|name| name == wanted))
            && (whole || (!service.is_closed && explained(service) * 2 >= header.len()))
    };
    // The first of those that explain as much.
    SERVICES
        .iter()
        .rev()
        .filter(fits)
        .max_by_key(|service| explained(service))
}

impl Service {
    /// Returns whether a column of that squeezed name belongs to its exports.
    pub fn explains(&self, name: &str) -> bool {
        [self.needs, self.marks, self.knows]
            .iter()
            .any(|names| names.contains(&name))
    }

    /// Returns whether "inactive" means that somebody has not confirmed yet.
    pub fn has_inactive_for_unconfirmed(&self) -> bool {
        self.name == "kit"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::subscribing::columns::words::squeezed;

    #[test]
    fn a_service_is_told_by_its_whole_header() {
        for (header, name) in [
            (
                "email,First Name,Last Name,status,tier,created_at,unsubscribed_at",
                Some("beehiiv"),
            ),
            ("First Name,Email,Status,Created At", Some("kit")),
            ("First Name,Last Name,Email,Status,Created At", None),
            ("Email,First name,Last name,Status", Some("keila")),
            ("Email Address,UNSUB_TIME,UNSUB_REASON", Some("mailchimp")),
            ("email,name,confirmed_at,source,state,timezone", None),
            ("email,name", None),
            ("email,first_name,status,created_at", None),
        ] {
            let spelled: Vec<String> = header.split(',').map(String::from).collect();
            let header: Vec<String> = spelled
                .iter()
                .map(|name| squeezed(name).into_owned())
                .collect();
            assert_eq!(
                recognise(&header, &spelled).map(|service| service.name),
                name,
                "{header:?}"
            );
        }
    }
}
