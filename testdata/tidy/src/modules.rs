//! The modules of a crate, and what each defines and imports.
//!
//! A crate's files are found as rustc finds them: from a root along its `mod` lines.

use std::collections::{BTreeMap, BTreeSet};
use syn::{Item, UseTree};

/// Index of a module in [`Crate::modules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ModuleId(pub usize);

/// Index of a file in [`Crate::files`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// A library or program with all its modules.
#[derive(Default)]
pub struct Crate {
    /// The root first.
    pub modules: Vec<Module>,
    pub files: Vec<File>,
    /// The files of modules that are built for tests alone.
    pub tests: Vec<String>,
}

/// A file of a crate.
pub struct File {
    /// From the workspace's root.
    pub path: String,
    pub syntax: syn::File,
    /// The module that the file is.
    pub module: ModuleId,
}

/// A module, in a file of its own or inside one.
#[derive(Debug)]
pub struct Module {
    pub name: String,
    pub parent: Option<ModuleId>,
    pub file: FileId,
    pub children: BTreeMap<String, ModuleId>,
    /// Names of the items that are defined here.
    pub items: BTreeSet<String>,
    pub imports: Vec<Import>,
}

/// A name that a `use` brings into a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// `None` for all names of a module.
    pub name: Option<String>,
    pub path: Vec<String>,
    /// From 1.
    pub line: usize,
}

impl Crate {
    /// The crate whose root is the file `root`; `read` gives the text of a file, `None` if
    /// there is no such file.
    ///
    /// # Errors
    /// If a file is missing or is not Rust.
    pub fn read(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut found = Self::default();
        let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
        found.add_file(root, folder, "crate", None, read)?;
        Ok(found)
    }

    /// The module.
    #[must_use]
    pub fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.0]
    }

    /// The file.
    #[must_use]
    pub fn file(&self, id: FileId) -> &File {
        &self.files[id.0]
    }

    /// The module and all around it, the innermost first.
    pub fn ancestors(&self, id: ModuleId) -> impl Iterator<Item = ModuleId> + '_ {
        std::iter::successors(Some(id), |id| self.module(*id).parent)
    }

    /// `folder` holds the files of the module's children.
    fn add_file(
        &mut self,
        path: &str,
        folder: &str,
        name: &str,
        parent: Option<ModuleId>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ModuleId, String> {
        let text = read(path).ok_or_else(|| format!("{path}: cannot be read"))?;
        let syntax = syn::parse_file(&text)
            .map_err(|error| format!("{path}:{}: {error}", error.span().start().line))?;
        let file = FileId(self.files.len());
        let module = ModuleId(self.modules.len());
        let syntax = syn::File { items: expand(syntax.items), ..syntax };
        let items = syntax.items.clone();
        self.files.push(File { path: path.to_owned(), syntax, module });
        self.add_module(&items, file, folder, name, parent, read)
    }

    fn add_module(
        &mut self,
        items: &[Item],
        file: FileId,
        folder: &str,
        name: &str,
        parent: Option<ModuleId>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Result<ModuleId, String> {
        let id = ModuleId(self.modules.len());
        self.modules.push(Module {
            name: name.to_owned(),
            parent,
            file,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: Vec::new(),
        });
        for item in items {
            if let Item::Mod(child) = item {
                let name = child.ident.to_string();
                let below = format!("{folder}/{name}");
                if is_test(&child.attrs) {
                    self.tests.push(format!("{below}.rs"));
                    continue;
                }
                let added = match &child.content {
                    Some((_, items)) => {
                        self.add_module(items, file, &below, &name, Some(id), read)?
                    }
                    None => {
                        let flat = format!("{below}.rs");
                        let path =
                            if read(&flat).is_some() { flat } else { format!("{below}/mod.rs") };
                        self.add_file(&path, &below, &name, Some(id), read)?
                    }
                };
                self.modules[id.0].children.insert(name, added);
            } else if !is_test(attributes(item)) {
                self.add_item(id, item);
            }
        }
        Ok(id)
    }

    fn add_item(&mut self, id: ModuleId, item: &Item) {
        if let Item::Use(item) = item {
            self.modules[id.0].imports.extend(imports(item));
            return;
        }
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => {
                let Some(name) = &item.ident else { return };
                // A macro that is exported is called by the crate's name.
                if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")) {
                    return;
                }
                name
            }
            _ => return,
        };
        self.modules[id.0].items.insert(name.to_string());
    }
}

/// `items`, with the items that are the arguments of a macro in its place.
fn expand(items: Vec<Item>) -> Vec<Item> {
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Item::Macro(call) if call.ident.is_none() => {
                match syn::parse2::<syn::File>(call.mac.tokens.clone()) {
                    Ok(inner) => found.extend(expand(inner.items)),
                    Err(_) => found.push(Item::Macro(call)),
                }
            }
            item => found.push(item),
        }
    }
    found
}

/// The attributes of an item.
#[must_use]
pub fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an item is built for tests alone.
#[must_use]
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        meta => meta.path().is_ident("test"),
    })
}

/// The names that `item` imports.
#[must_use]
pub fn imports(item: &syn::ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    leaves(&item.tree, &mut Vec::new(), &mut |name, path, line| {
        imports.push(Import { name, path, line });
    });
    imports
}

/// Calls `found` with the name, path and line of each leaf of an import.
fn leaves(
    tree: &UseTree,
    prefix: &mut Vec<String>,
    found: &mut dyn FnMut(Option<String>, Vec<String>, usize),
) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            leaves(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, found)),
        UseTree::Name(name) => leaf(&name.ident, None, prefix, found),
        UseTree::Rename(rename) => leaf(&rename.ident, Some(&rename.rename), prefix, found),
        UseTree::Glob(glob) => {
            found(None, prefix.clone(), glob.star_token.spans[0].start().line);
        }
    }
}

fn leaf(
    name: &syn::Ident,
    rename: Option<&syn::Ident>,
    prefix: &[String],
    found: &mut dyn FnMut(Option<String>, Vec<String>, usize),
) {
    let mut path = prefix.to_vec();
    // `a::{self}` names `a`.
    if name != "self" || prefix.is_empty() {
        path.push(name.to_string());
    }
    let known = rename.map(ToString::to_string).or_else(|| path.last().cloned());
    found(known, path, name.span().start().line);
}
