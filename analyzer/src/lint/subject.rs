//! The program under analysis, and the role of each function.

use super::boot::functions_before_smp;
use super::hotplug_states::starting_states;
use super::model::{Config, FunctionModel, FunctionRole, KernelSummary, SERIALISED, built_in};
use super::page_pointers::{is_adrp, is_pointer};
use crate::addr::Svma;
use crate::dataflow::CallOrder;
use crate::image::{Image, ImageKind};
use crate::jump_table::JumpTable;
use crate::program::{CallSite, Cfg, Event, FuncId, FunctionSource, RecoveredProgram};
use crate::semantics::{AccessKind, Barrier, CacheOp, Control, Operation};
use crate::values::{FunctionBody, FunctionValues, Value, ValueState};
use foldhash::{HashMap, HashMapExt as _};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

/// Prefix of the symbols of exported functions (`include/linux/export.h`, Linux 6.12).
const EXPORT: &str = "__ksymtab_";

/// The functions that the kernel calls when it loads a module and when it removes it
/// (`include/linux/module.h`, Linux 6.12, module_init and module_exit).
const MODULE_ENTRIES: [&str; 2] = ["init_module", "cleanup_module"];

/// Instructions that are read in search of readers that synchronise on their own side. If there
/// are more, no reader is recognised.
const MOST_READ: u64 = 16_000_000;

/// The role of one function, from a model or from its instructions.
#[derive(Debug, Clone)]
pub(super) struct KnownRole {
    pub(super) role: FunctionRole,
    pub(super) reason: Option<String>,
    /// The function of the kernel that has the defect, if a module only calls it.
    pub(super) kernel_root: Option<String>,
}

impl KnownRole {
    const fn of(role: FunctionRole) -> Self {
        Self { role, reason: None, kernel_root: None }
    }
}

/// The program, the roles of its functions, and results that are computed once.
pub(super) struct Subject<'a, 'data> {
    pub(super) image: &'a Image<'data>,
    pub(super) program: RecoveredProgram<'data>,
    roles: Vec<Option<KnownRole>>,
    is_exported: Vec<bool>,
    /// Functions that the kernel calls when it loads or removes the module.
    is_module_entry: Vec<bool>,
    before_smp: OnceCell<Vec<bool>>,
    cfgs: RefCell<HashMap<FuncId, Rc<Cfg>>>,
    reaches_isb: RefCell<HashMap<FuncId, bool>>,
    leading_calls: RefCell<HashMap<FuncId, Rc<[CallSite]>>>,
    taken: OnceCell<HashMap<FuncId, Vec<Svma>>>,
    call_order: OnceCell<CallOrder>,
    /// Functions in which not all memory was tracked ([`super::executable_memory`]).
    pub(super) unfollowed: Cell<usize>,
    /// Instructions that may still be read in search of readers.
    pub(super) reader_budget: Cell<u64>,
    protections: OnceCell<Vec<ProtectionCall>>,
    starting_states: Range<u64>,
    /// Functions that the kernel of a module exports.
    of_kernel: BTreeSet<String>,
    values: RefCell<HashMap<FuncId, Option<Rc<FunctionValues>>>>,
    pub(super) is_kernel: bool,
}

/// Whether an instruction is a system call.
pub(super) fn is_system_call(event: &Event) -> bool {
    event.control == Control::SupervisorCall
}

/// Whether an instruction stores general-purpose registers to memory that is not its stack: not
/// through SP or the frame pointer.
pub(super) fn stores_through_pointer(operation: &Operation) -> bool {
    let Operation::Access(access) = operation else { return false };
    matches!(access.kind, AccessKind::Store { .. })
        && access.base().is_some_and(|base| !matches!(base.number(), 29 | 31))
}

/// The prefix of the name of a function without a symbol; its address follows.
pub(super) const UNNAMED: &str = "sub_";

/// PROT_WRITE of mmap(2) and mprotect(2).
pub(super) const PROT_WRITE: u64 = 2;
/// PROT_EXEC of mmap(2) and mprotect(2).
pub(super) const PROT_EXEC: u64 = 4;

/// A call that sets the protection of memory to a constant.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProtectionCall {
    pub(super) function: FuncId,
    pub(super) at: Svma,
    /// The called function.
    pub(super) name: &'static str,
    /// PROT_ bits.
    pub(super) protection: u64,
}

impl<'a, 'data> Subject<'a, 'data> {
    pub(super) fn new(
        image: &'a Image<'data>,
        table: Option<&JumpTable<'_>>,
        config: &Config,
        kernel: Option<&KernelSummary>,
    ) -> Self {
        let program = RecoveredProgram::recover(image, table);
        let is_kernel = image.is_kernel();
        let functions = program.functions().len();
        let mut subject = Self {
            image,
            program,
            roles: vec![None; functions],
            is_exported: vec![false; functions],
            is_module_entry: vec![false; functions],
            before_smp: OnceCell::new(),
            cfgs: RefCell::default(),
            reaches_isb: RefCell::default(),
            leading_calls: RefCell::default(),
            taken: OnceCell::new(),
            call_order: OnceCell::new(),
            unfollowed: Cell::new(0),
            reader_budget: Cell::new(MOST_READ),
            protections: OnceCell::new(),
            starting_states: kernel
                .map_or_else(|| starting_states(image), |kernel| kernel.starting_states.clone()),
            of_kernel: kernel.map(|kernel| kernel.functions.clone()).unwrap_or_default(),
            values: RefCell::default(),
            is_kernel,
        };
        subject.assign_roles(config);
        kernel.into_iter().for_each(|kernel| subject.adopt(kernel));
        let noreturn: Vec<FuncId> = subject
            .program
            .ids()
            .filter(|id| subject.role(*id) == Some(FunctionRole::NoReturn))
            .collect();
        subject.program.set_noreturn(&noreturn);
        subject.program.resolve_jumps(image);
        subject.recognise();
        subject
    }

    fn assign_roles(&mut self, config: &Config) {
        let own = built_in(self.is_kernel);
        let models: Vec<&FunctionModel> = config.functions.iter().chain(&own.functions).collect();
        let mut plain: HashMap<&str, usize> = HashMap::new();
        for (at, model) in models.iter().enumerate().filter(|(_, model)| model.is_plain()) {
            model.names.iter().for_each(|name| {
                plain.entry(name).or_insert(at);
            });
        }
        let patterns: Vec<(usize, &&FunctionModel)> =
            models.iter().enumerate().filter(|(_, model)| !model.is_plain()).collect();
        let mut by_name: HashMap<String, FuncId> = HashMap::new();
        let mut exported = Vec::new();
        let symbols = self.image.symbols();
        let is_module = self.is_kernel && self.image.kind() == ImageKind::Rel;
        for (id, symbol) in symbols.iter().filter(|(_, symbol)| symbol.section.is_some()) {
            let name = symbols.name(id);
            if let Some(name) = name.strip_prefix(EXPORT) {
                exported.push(name.to_owned());
                continue;
            }
            let Some(function) = self.program.starting_at(symbol.address) else { continue };
            if symbol.kind == crate::image::SymbolKind::Object {
                continue;
            }
            if is_module && MODULE_ENTRIES.contains(&&*name) {
                self.is_module_entry[function.index()] = true;
            }
            let base = name.split('.').next().unwrap_or(&name);
            let of_pattern =
                || patterns.iter().find(|(_, model)| model.matches(base)).map(|(at, _)| *at);
            if let Some(model) = plain.get(base).copied().or_else(of_pattern) {
                let FunctionModel { role, reason, .. } = models[model];
                let known = KnownRole { reason: reason.clone(), ..KnownRole::of(*role) };
                self.roles[function.index()].get_or_insert(known);
            }
            if self.is_kernel {
                by_name.entry(name.into_owned()).or_insert(function);
            } else if symbol.binding != crate::image::Binding::Local {
                self.is_exported[function.index()] = true;
            }
        }
        for (function, name) in self.program.imports() {
            if let Some(model) = plain.get(name.as_str()) {
                let FunctionModel { role, reason, .. } = models[*model];
                let known = KnownRole { reason: reason.clone(), ..KnownRole::of(*role) };
                self.roles[function.index()].get_or_insert(known);
            }
        }
        for function in exported.iter().filter_map(|name| by_name.get(name)) {
            self.is_exported[function.index()] = true;
        }
    }

    /// Takes over the roles of the kernel functions that a module imports.
    fn adopt(&mut self, kernel: &KernelSummary) {
        for (id, name) in self.program.imports() {
            let known = if kernel.syncs.contains(name) {
                KnownRole::of(FunctionRole::Syncs)
            } else if let Some(root) = kernel.pending.get(name) {
                KnownRole {
                    kernel_root: Some(root.clone()),
                    ..KnownRole::of(FunctionRole::Patches)
                }
            } else {
                continue;
            };
            self.roles[id.index()].get_or_insert(known);
        }
    }

    /// Recognises functions that maintain caches by a DC and an IC. In a program, a function that
    /// also stores to memory other than its stack is no primitive: it patches.
    fn recognise(&mut self) {
        for id in self.program.ids() {
            if self.roles[id.index()].is_none()
                && self.has_cache_ops(id)
                && (self.is_kernel || !self.stores(id))
            {
                self.roles[id.index()] = Some(KnownRole::of(FunctionRole::Maintains));
            }
        }
    }

    fn has_cache_ops(&self, id: FuncId) -> bool {
        let has = |op| {
            self.program
                .events_of(id)
                .iter()
                .any(|event| matches!(event.control, Control::Cache(own, _) if own == op))
        };
        // A kernel invalidates the whole cache for many reasons; its functions are known by name.
        let is_whole_kernel = self.is_kernel && self.image.kind() != ImageKind::Rel;
        let invalidates = has(CacheOp::InvalidateInsn)
            || !is_whole_kernel && (has(CacheOp::InvalidateAll) || has(CacheOp::InvalidateLocal));
        invalidates && has(CacheOp::CleanData)
    }

    /// Whether a function of a program maintains caches by its own instructions, and is no
    /// primitive.
    pub(super) fn maintains_inline(&self, id: FuncId) -> bool {
        !self.is_kernel && self.role(id).is_none() && self.has_cache_ops(id)
    }

    /// Whether a function stores to memory that may hold code.
    pub(super) fn stores(&self, id: FuncId) -> bool {
        let mut found = false;
        self.for_each_instruction(id, |state, at, operation| {
            found = found || self.may_store_to_code(state, at, operation);
        });
        found
    }

    /// Whether an instruction stores to memory that may hold code: not to the stack, and not to
    /// data at a constant address, such as a line size that is kept. Code is not written
    /// atomically with its old value, as counters and locks are.
    pub(super) fn may_store_to_code(
        &self,
        state: &mut ValueState,
        at: Svma,
        operation: &Operation,
    ) -> bool {
        let Operation::Access(access) = operation else { return false };
        if !access.is_store() || matches!(access.kind, AccessKind::Atomic { .. }) {
            return false;
        }
        match state.address(self.image, at, access) {
            Value::Number(to) => self.is_code(Svma(to)),
            to => !to.is_on_stack(),
        }
    }

    /// The values in a function, computed once; `None` if it exceeds the limit of steps.
    fn values(&self, id: FuncId) -> Option<Rc<FunctionValues>> {
        if let Some(known) = self.values.borrow().get(&id) {
            return known.clone();
        }
        let cfg = self.cfg(id);
        let body = FunctionBody { program: &self.program, cfg: &cfg, id };
        let found = FunctionValues::solve(self.image, body).ok().map(Rc::new);
        self.values.borrow_mut().insert(id, found.clone());
        found
    }

    /// The values before the instruction at `at` in `id`; `None` if it is unreachable or the
    /// function is too large to follow.
    pub(super) fn values_at(&self, id: FuncId, at: Svma) -> Option<ValueState> {
        let cfg = self.cfg(id);
        let body = FunctionBody { program: &self.program, cfg: &cfg, id };
        self.values(id)?.before(self.image, body, at)
    }

    /// The number in the register of argument `number` at the call or system call at `at` in `id`.
    pub(super) fn argument(&self, id: FuncId, at: Svma, number: usize) -> Option<u64> {
        self.values_at(id, at)?.argument(number).as_number()
    }

    /// Calls back with every reachable instruction of a function, and the values before it.
    pub(super) fn for_each_instruction(
        &self,
        id: FuncId,
        mut then: impl FnMut(&mut ValueState, Svma, &Operation),
    ) {
        let cfg = self.cfg(id);
        let body = FunctionBody { program: &self.program, cfg: &cfg, id };
        let Some(values) = self.values(id) else { return };
        for (index, block) in cfg.blocks.iter().enumerate() {
            let Some(mut state) = values.at_block(index).cloned() else { continue };
            for (at, operation) in body.instructions(block) {
                then(&mut state, at, &operation);
                state.execute(self.image, at, &operation);
            }
        }
    }

    /// Whether there is code at an address. A section that is writable and executable holds code
    /// where a symbol, a call or the unwind tables say so; data objects are data everywhere.
    pub(super) fn is_code(&self, at: Svma) -> bool {
        let Some(function) = self.program.function_at(at) else { return false };
        let is_object = self.image.symbols().object_at(at).is_some_and(|found| {
            let symbol = self.image.symbols().get(found.symbol);
            symbol.kind == crate::image::SymbolKind::Object && found.offset < symbol.size.max(1)
        });
        let is_writable = self
            .image
            .section_at(at)
            .is_some_and(|section| self.image.section(section).flags.write);
        let source = self.program.function(function).source;
        !is_object && (!is_writable || source != FunctionSource::Section)
    }

    /// Whether the bytes at an address are these.
    pub(super) fn starts_with(&self, at: Svma, bytes: &[u8]) -> bool {
        let range = crate::addr::AddrRange::sized(at, bytes.len() as u64);
        self.image.read_relocated(range).is_ok_and(|found| *found.bytes == *bytes)
    }

    /// The role of a function, with its reason.
    pub(super) fn known(&self, id: FuncId) -> Option<&KnownRole> {
        self.roles[id.index()].as_ref()
    }

    pub(super) fn role(&self, id: FuncId) -> Option<FunctionRole> {
        self.known(id).map(|known| known.role)
    }

    pub(super) fn is_exported(&self, id: FuncId) -> bool {
        self.is_exported[id.index()]
    }

    /// Whether the kernel of a module exports a function with this name.
    pub(super) fn is_of_kernel(&self, name: &str) -> bool {
        self.of_kernel.contains(name)
    }

    /// The CPU hotplug states whose callbacks run with interrupts off; empty if unknown.
    pub(super) fn starting_states(&self) -> Range<u64> {
        self.starting_states.clone()
    }

    /// The function that is the argument with this number at a call.
    pub(super) fn function_argument(
        &self,
        caller: FuncId,
        at: Svma,
        number: usize,
    ) -> Option<FuncId> {
        self.argument(caller, at, number).and_then(|value| self.program.starting_at(Svma(value)))
    }

    /// Whether the kernel calls a function when it loads or removes the module.
    pub(super) fn is_module_entry(&self, id: FuncId) -> bool {
        self.is_module_entry[id.index()]
    }

    /// Whether a function of the kernel runs only before the other CPUs are started.
    pub(super) fn runs_before_smp(&self, id: FuncId) -> bool {
        let before = self.before_smp.get_or_init(|| {
            let has_pointer = |id: FuncId| !self.taken_at(id).is_empty();
            functions_before_smp(self.image, &self.program, &self.is_exported, &has_pointer)
        });
        before[id.index()]
    }

    /// Why only one thread at a time executes the code that a program generates, if a model says
    /// so.
    pub(super) fn serialised(&self) -> Option<&'static str> {
        let symbols = self.image.symbols();
        let has = |name: &str| symbols.named(name).any(|(_, symbol)| symbol.section.is_some());
        SERIALISED.iter().find(|(name, _)| !self.is_kernel && has(name)).map(|(_, reason)| *reason)
    }

    /// A function by which readers of patched code synchronise on their own side, if a model
    /// names one.
    pub(super) fn consumer(&self) -> Option<FuncId> {
        self.program.ids().find(|id| self.role(*id) == Some(FunctionRole::ConsumerSyncs))
    }

    /// Whether a function is the entry of a system call in the kernel
    /// (`arch/arm64/include/asm/syscall_wrapper.h`, Linux 6.12).
    pub(super) fn is_system_call(&self, id: FuncId) -> bool {
        let name = self.name(id);
        self.is_kernel
            && (name.starts_with("__arm64_sys_") || name.starts_with("__arm64_compat_sys_"))
    }

    /// Name of a function, made from its address if it has no symbol.
    pub(super) fn name(&self, id: FuncId) -> String {
        let function = self.program.function(id);
        if let Some(import) = self.program.import_name(id) {
            return import.to_owned();
        }
        match function.symbol {
            Some(symbol) => self.image.symbols().name(symbol).into_owned(),
            None => format!("{UNNAMED}{:x}", function.range.start().0),
        }
    }

    /// The control flow of a function, computed once.
    pub(super) fn cfg(&self, id: FuncId) -> Rc<Cfg> {
        if let Some(cfg) = self.cfgs.borrow().get(&id) {
            return Rc::clone(cfg);
        }
        let cfg = Rc::new(Cfg::new(&self.program, id));
        self.cfgs.borrow_mut().insert(id, Rc::clone(&cfg));
        cfg
    }

    /// The calls of a function that are reachable from its entry and lead to an exit, computed
    /// once.
    pub(super) fn leading_calls(&self, id: FuncId) -> Rc<[CallSite]> {
        if let Some(known) = self.leading_calls.borrow().get(&id) {
            return Rc::clone(known);
        }
        let cfg = self.cfg(id);
        let leads = cfg.leads_to_exit();
        let does_lead = |call: &&CallSite| cfg.block_at(call.at).is_some_and(|block| leads[block]);
        let calls: Rc<[CallSite]> =
            self.program.calls_of(id).iter().filter(does_lead).copied().collect();
        self.leading_calls.borrow_mut().insert(id, Rc::clone(&calls));
        calls
    }

    /// Whether a function executes an ISB, itself or in a callee, a few calls deep. The ISB at
    /// the end of patching or cache maintenance does not count: it synchronises its own CPU only.
    pub(super) fn reaches_isb(&self, id: FuncId) -> bool {
        if let Some(known) = self.reaches_isb.borrow().get(&id) {
            return *known;
        }
        let mut seen = vec![id];
        let mut layer = vec![id];
        let mut found = false;
        for _ in 0..4 {
            let has_isb = |id: &FuncId| {
                let mut events = self.program.events_of(*id).iter();
                events.any(|event| event.control == Control::Barrier(Barrier::Isb))
            };
            found = layer.iter().any(has_isb);
            if found || seen.len() > 200 {
                break;
            }
            let is_local = |id: &FuncId| {
                matches!(
                    self.role(*id),
                    Some(FunctionRole::Patches | FunctionRole::Writes | FunctionRole::Maintains)
                )
            };
            let callees = layer.iter().flat_map(|id| self.program.calls_of(*id));
            let callees = callees.map(|call| call.callee).filter(|id| !is_local(id));
            let mut next: Vec<FuncId> = callees.filter(|id| !seen.contains(id)).collect();
            next.sort_unstable();
            next.dedup();
            seen.extend(&next);
            layer = next;
        }
        self.reaches_isb.borrow_mut().insert(id, found);
        found
    }

    /// Whether a function, or one up to four calls below it, maintains instruction caches.
    pub(super) fn maintains(&self, id: FuncId) -> bool {
        let is_ic = |control| matches!(control, Control::Cache(op, _) if op != CacheOp::CleanData);
        self.callees(id, 4).into_iter().any(|id| {
            matches!(
                self.role(id),
                Some(
                    FunctionRole::Maintains | FunctionRole::Patches | FunctionRole::PatchesAndSyncs
                )
            ) || self.program.events_of(id).iter().any(|event| is_ic(event.control))
        })
    }

    /// The functions that `id` calls directly, up to `depth` calls deep, including `id`. The
    /// number is limited to a few hundred.
    pub(super) fn callees(&self, id: FuncId, depth: usize) -> Vec<FuncId> {
        const MOST: usize = 400;
        let mut all = vec![id];
        let mut layer = vec![id];
        for _ in 0..depth {
            let mut next: Vec<FuncId> = layer
                .iter()
                .flat_map(|id| self.program.calls_of(*id))
                .map(|call| call.callee)
                .filter(|id| !all.contains(id))
                .collect();
            next.sort_unstable();
            next.dedup();
            all.extend(&next);
            if all.len() > MOST {
                break;
            }
            layer = next;
        }
        all
    }

    /// The calls of mmap and mprotect with a constant protection, by address.
    pub(super) fn protections(&self) -> &[ProtectionCall] {
        self.protections.get_or_init(|| {
            let mut found = Vec::new();
            for (id, import) in self.program.imports() {
                let known = ["mmap", "mmap64", "mprotect"].into_iter();
                let Some(name) = known.into_iter().find(|name| name == import) else { continue };
                for call in self.program.callers(*id) {
                    let Some(state) = self.values_at(call.caller, call.at) else { continue };
                    // The protection is the third argument of both.
                    if let Some(protection) = state.argument(2).as_number() {
                        let (function, at) = (call.caller, call.at);
                        found.push(ProtectionCall { function, at, name, protection });
                    }
                }
            }
            found.sort_by_key(|call| call.at);
            found
        })
    }

    /// The components of the call graph, computed once.
    pub(super) fn call_order(&self) -> &CallOrder {
        self.call_order.get_or_init(|| CallOrder::of(&self.program))
    }

    /// Instructions that make the address of a function.
    pub(super) fn taken_at(&self, id: FuncId) -> &[Svma] {
        let taken = self.taken.get_or_init(|| {
            let mut taken: HashMap<FuncId, Vec<Svma>> = HashMap::new();
            for (at, function) in self.program.taken_in_code() {
                let is_page = self.program.word(at).is_some_and(is_adrp);
                let is_taken =
                    |maker| !is_page || is_pointer(&self.program, &self.cfg(maker), maker, at);
                if !self.program.function_at(at).is_some_and(is_taken) {
                    continue;
                }
                taken.entry(function).or_default().push(at);
            }
            taken
        });
        taken.get(&id).map_or(&[], Vec::as_slice)
    }
}
