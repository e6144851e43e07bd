//! Which file uses what another defines.
//!
//! An arrow leads from a file that names an item, in a `use` or in a path, to the file
//! that defines the item, through all re-exports: `mod` and `pub use` are no arrows
//! themselves. Methods and fields are not followed: to call one is not to import it.

use crate::modules::{Crate, FileId, Import, ModuleId, attributes, imports, is_test};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// A file uses an item of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: FileId,
    pub to: FileId,
    /// Where the item is named, in `from`.
    pub line: usize,
    /// The path as it is written.
    pub path: String,
}

/// All arrows between the files of a crate, without repetitions of one pair of files.
#[must_use]
pub fn arrows(of: &Crate) -> Vec<Arrow> {
    let mut found = Vec::new();
    for (index, file) in of.files.iter().enumerate() {
        let mut finder = Finder { of, file: FileId(index), module: file.module, found: Vec::new() };
        finder.visit_file(&file.syntax);
        found.append(&mut finder.found);
    }
    found.sort_by_key(|arrow| (arrow.from, arrow.to, arrow.line));
    found.dedup_by_key(|arrow| (arrow.from, arrow.to));
    found
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(ModuleId),
    Item(FileId),
}

/// How many re-exports are followed: more are a circle.
const MAX_REEXPORTS: usize = 16;

impl Crate {
    /// What `path` names, as `module` sees it; `None` for what is not of this crate.
    fn resolve(&self, module: ModuleId, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Target::Module(ModuleId(0)),
            "self" => Target::Module(module),
            "super" => Target::Module(self.module(module).parent?),
            name => self.name(module, name, rest.is_empty(), depth)?,
        };
        rest.iter().enumerate().try_fold(start, |target, (at, name)| match target {
            Target::Module(of) if name == "super" => self.module(of).parent.map(Target::Module),
            Target::Module(of) => self.name(of, name, at + 1 == rest.len(), depth),
            item @ Target::Item(_) => Some(item),
        })
    }

    /// What `name` is in `module`. A path may go on from a module; its last name may be a
    /// module and an item at once, and then the item is meant.
    fn name(&self, id: ModuleId, name: &str, is_last: bool, depth: usize) -> Option<Target> {
        let module = self.module(id);
        let child = module.children.get(name).copied().map(Target::Module);
        if child.is_some() && !is_last {
            return child;
        }
        if module.items.contains(name) {
            return Some(Target::Item(module.file));
        }
        if depth == MAX_REEXPORTS {
            return child;
        }
        let mut named = module.imports.iter().filter(|i| i.name.as_deref() == Some(name));
        let all = module.imports.iter().filter(|import| import.name.is_none());
        let by_name = |import: &Import| match self.resolve(id, &import.path, depth + 1) {
            // An import of the very name that is looked for, as `use check::check`.
            Some(Target::Module(found)) if child == Some(Target::Module(found)) => None,
            found => found,
        };
        let by_glob = |import: &Import| match self.resolve(id, &import.path, depth + 1)? {
            Target::Module(of) if of != id => self.name(of, name, is_last, depth + 1),
            _ => None,
        };
        named.find_map(by_name).or(child).or_else(|| {
            let mut all = all;
            all.find_map(by_glob)
        })
    }
}

struct Finder<'a> {
    of: &'a Crate,
    file: FileId,
    module: ModuleId,
    found: Vec<Arrow>,
}

impl Finder<'_> {
    fn add(&mut self, path: &[String], line: usize) {
        let target = self.of.resolve(self.module, path, 0);
        if let Some(Target::Item(to)) = target
            && to != self.file
        {
            self.found.push(Arrow { from: self.file, to, line, path: path.join("::") });
        }
    }

    /// Paths in the arguments of a macro, which are tokens and no syntax.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(&std::mem::take(&mut path), line);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                _ => {
                    self.add(&std::mem::take(&mut path), line);
                    colons = 0;
                }
            }
            if let TokenTree::Group(group) = token {
                self.tokens(group.stream());
            }
        }
        self.add(&path, line);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let Some((_, items)) = &item.content else { return };
        let outer = self.module;
        if let Some(inner) = self.of.module(outer).children.get(&item.ident.to_string()) {
            self.module = *inner;
            items.iter().for_each(|item| self.visit_item(item));
            self.module = outer;
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !matches!(item.vis, syn::Visibility::Inherited) {
            return;
        }
        for import in imports(item) {
            if import.name.is_some() {
                self.add(&import.path, import.line);
            } else if let Some(Target::Module(of)) = self.of.resolve(self.module, &import.path, 0)
                && self.of.module(of).file != self.file
            {
                let to = self.of.module(of).file;
                let path = import.path.join("::") + "::*";
                self.found.push(Arrow { from: self.file, to, line: import.line, path });
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |first| first.ident.span().start().line);
        self.add(&names, line);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &str); 5] = [
        (
            "x/src/lib.rs",
            "mod a; mod b; pub use b::c::C; pub struct Root; mod inline { use super::a; }",
        ),
        ("x/src/a.rs", "pub fn f() { crate::b::c::g(); }"),
        ("x/src/b/mod.rs", "mod c; mod d; pub use c::{C, g}; pub(crate) struct Own;"),
        ("x/src/b/c.rs", "pub struct C; pub fn g() {}"),
        ("x/src/b/d.rs", ""),
    ];

    fn arrows_with(path: &str, text: &str) -> Vec<String> {
        let read = |wanted: &str| {
            if wanted == path {
                return Some(text.to_owned());
            }
            let file = FILES.iter().find(|(path, _)| *path == wanted);
            file.map(|(_, text)| (*text).to_owned())
        };
        let of = Crate::read("x/src/lib.rs", &read).expect("the files are sound");
        let name = |id: FileId| of.file(id).path.trim_start_matches("x/src/").to_owned();
        let all = arrows(&of).into_iter().filter(|arrow| of.file(arrow.from).path == path);
        all.map(|arrow| format!("{}:{} {}", name(arrow.to), arrow.line, arrow.path)).collect()
    }

    #[test]
    fn an_item_is_used_where_it_is_defined() {
        for (text, found) in [
            ("use crate::C;", &["b/c.rs:1 crate::C"][..]),
            ("use super::C;", &["b/c.rs:1 super::C"]),
            ("use super::super::{Root, a};", &["lib.rs:1 super::super::Root"]),
            (
                "use super::{\n Own,\n c::g as h};",
                &["b/mod.rs:2 super::Own", "b/c.rs:3 super::c::g"],
            ),
            ("use crate::a; fn f() {\n a::f() }", &["a.rs:2 a::f"]),
            (
                "fn f() { let x: crate::b::C = vec![super::super::a::f()]; }",
                &["a.rs:1 super::super::a::f", "b/c.rs:1 crate::b::C"],
            ),
            ("fn f() { println!(\"{}\", crate::Root); }", &["lib.rs:1 crate::Root"]),
            ("use super::*;", &["b/mod.rs:1 super::*"]),
            ("fn f() { use crate::b::C; }", &["b/c.rs:1 crate::b::C"]),
        ] {
            let mut found: Vec<&str> = found.to_vec();
            let mut all = arrows_with("x/src/b/d.rs", text);
            found.sort_unstable();
            all.sort_unstable();
            assert_eq!(all, found, "{text}");
        }
    }

    #[test]
    fn items_in_a_macro_are_items() {
        let read = |path: &str| {
            Some(match path {
                "lib.rs" => "runtime! { mod a; pub use a::A; mod b; }".to_owned(),
                "/a.rs" => "pub struct A;".to_owned(),
                "/b.rs" => "use crate::A;".to_owned(),
                _ => return None,
            })
        };
        let of = Crate::read("lib.rs", &read).expect("the files are sound");
        let found: Vec<String> = arrows(&of).into_iter().map(|arrow| arrow.path).collect();
        assert_eq!(found, ["crate::A"]);
    }

    #[test]
    fn what_imports_nothing_is_no_arrow() {
        for text in [
            "pub use super::c::C;",
            "pub(crate) use crate::a::f;",
            "use std::fmt; use crate::a; mod e { use super::super::super::a; }",
            "#[cfg(test)] mod tests { use crate::a::f; }",
            "#[cfg(test)] use crate::a::f;",
            "#[test] fn t() { crate::a::f(); }",
            "fn f() { C.g(); let a = 1; a }",
        ] {
            assert_eq!(arrows_with("x/src/b/d.rs", text), [""; 0], "{text}");
        }
        assert_eq!(arrows_with("x/src/lib.rs", FILES[0].1), [""; 0]);
    }
}
