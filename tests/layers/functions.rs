//! A bound on the length of a function: it fits a screen.

use std::collections::BTreeMap;

use syn::visit;
use syn::visit::Visit;

use super::is_test;
use super::parsed;

/// Lines of a function, its signature included. Few that are tables or one statement of SQL after another are read as easily when they are
/// longer: [`LONGER`].
const LINES_MAX: usize = 80;

/// Functions that are longer, each with the bound that it must not pass.
const LONGER: [(&str, usize); 19] = [
    (
        "src/app/delivery/dispatcher/simulation/ledger.rs: claim",
        82,
    ),
    (
        "src/app/delivery/dispatcher/simulation/rules/flow.rs: check_stuck",
        88,
    ),
    (
        "src/app/delivery/dispatcher/simulation/worlds.rs: with",
        102,
    ),
    ("src/app/issue/correcting.rs: correct_digest", 92),
    ("src/app/subscribing/columns/mod.rs: of", 98),
    ("src/domain/history.rs: fmt", 84),
    ("src/inbox/lmtp.rs: converse", 87),
    ("src/mail/inbound/answer/judge/sentence.rs: class_of", 100),
    ("src/mail/inbound/correlation.rs: of", 81),
    ("src/mail/inbound/mime.rs: take_apart", 117),
    ("src/mail/inbound/mod.rs: findings", 91),
    ("src/mail/inbound/sender_kind.rs: of", 110),
    ("src/render/email/digest.rs: within", 100),
    ("src/storage/email_changes.rs: ask_to_move", 82),
    ("src/storage/personal_data.rs: personal_data", 83),
    ("src/storage/preferences.rs: set_preferences_once", 82),
    ("src/storage/subscriber_list/order.rs: add_range", 84),
    ("src/storage/subscribers.rs: sign_up_once", 91),
    ("src/web/desk/mod.rs: table", 260),
];

/// Lengths of the functions of one file, without what is compiled for tests alone.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn take(
        &mut self,
        attributes: &[syn::Attribute],
        signature: &syn::Signature,
        end: proc_macro2::Span,
    ) {
        if !is_test(attributes) {
            let lines = end.end().line - signature.fn_token.span.start().line + 1;
            self.0.push((signature.ident.to_string(), lines));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.take(&item.attrs, &item.sig, item.block.brace_token.span.close());
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.take(&item.attrs, &item.sig, item.block.brace_token.span.close());
        visit::visit_impl_item_fn(self, item);
    }
}

#[test]
fn a_function_fits_a_screen() {
    let mut longer: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = 0;
    for (_, path, file) in parsed() {
        let mut functions = Functions::default();
        functions.visit_file(&file);
        found += functions.0.len();
        for (name, lines) in functions.0 {
            if lines > LINES_MAX {
                longer.insert(format!("{}: {name}", path.display()), lines);
            }
        }
    }
    assert!(found > 3_000, "the functions were found");
    let known: BTreeMap<String, usize> = LONGER
        .iter()
        .map(|(name, most)| ((*name).to_owned(), *most))
        .collect();
    longer.retain(|name, lines| known.get(name).is_none_or(|most| *lines > *most));
    assert!(longer.is_empty(), "split by what they do: {longer:#?}");
}
