//! Types of one crate have names of their own.

use crate::modules::{Crate, attributes, is_test};
use crate::violation::Violation;
use std::collections::BTreeMap;
use syn::Item;

const RULE: &str = "no two public types of a crate share a name";

/// The types of a crate that another file of it has a type of the same name for. Private
/// types are their module's business.
#[must_use]
pub fn check(of: &Crate) -> Vec<Violation> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for file in &of.files {
        for (name, line) in types(&file.syntax.items) {
            match first.get(&name) {
                Some(path) if *path != file.path => found.push(Violation {
                    path: file.path.clone(),
                    line,
                    rule: RULE,
                    what: format!("{path} has a {name} too"),
                }),
                Some(_) => {}
                None => {
                    first.insert(name, &file.path);
                }
            }
        }
    }
    found
}

fn types(items: &[Item]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for item in items.iter().filter(|item| !is_test(attributes(item))) {
        let (name, visibility) = match item {
            Item::Enum(item) => (&item.ident, &item.vis),
            Item::Struct(item) => (&item.ident, &item.vis),
            Item::Trait(item) => (&item.ident, &item.vis),
            Item::Union(item) => (&item.ident, &item.vis),
            Item::Mod(item) => {
                let inner = item.content.as_ref().map(|(_, items)| types(items));
                found.extend(inner.unwrap_or_default());
                continue;
            }
            _ => continue,
        };
        if !matches!(visibility, syn::Visibility::Inherited) {
            found.push((name.to_string(), name.span().start().line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_two_files_define_is_found() {
        let read = |path: &str| {
            Some(match path {
                "lib.rs" => "mod a; mod b; pub struct C;".to_owned(),
                "/a.rs" => "pub struct A; struct B; pub enum C {}".to_owned(),
                "/b.rs" => "\npub trait A {} pub struct B; #[cfg(test)] pub struct C;".to_owned(),
                _ => return None,
            })
        };
        let of = Crate::read("lib.rs", &read).expect("the files are sound");
        let found: Vec<String> = check(&of).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("/a.rs:1: ") && found[0].ends_with("lib.rs has a C too"));
        assert!(found[1].starts_with("/b.rs:2: ") && found[1].ends_with("/a.rs has a A too"));
    }
}
