//! The steps that a state allows, and their effects.

use super::event::{Event, Step, Stop};
use super::settle::narrow;
use super::setup::Machine;
use super::state::{Cell, Guess, LoadedFrom, NONE, NOWHERE, Next, Pe, State};
use crate::simulate::insn::{FLAGS, Insn, Kind};
use crate::simulate::program::Line;
use crate::simulate::rules::Rule;
use jlctl_shim::insn::aarch64::is_concurrently_modifiable;

/// A small number: all are bounded by [`super::setup::MAX_CELLS`], the window and 8 PEs.
fn small(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

impl Machine<'_> {
    /// The initial state.
    ///
    /// # Errors
    /// If the program cannot begin.
    pub(crate) fn start(&self, tell: &mut dyn FnMut(usize, Event)) -> Result<State, Stop> {
        let value = |loc: &crate::simulate::program::Loc| {
            let location = self.program.locations.get(usize::from(loc.0));
            location.and_then(|location| location.value).unwrap_or(0)
        };
        let cells = self.locs.iter().map(|loc| Cell { writes: vec![value(loc)], unified: 0 });
        let pes = self.program.pes.iter().map(|start| Pe {
            window: Vec::new(),
            next: Next::At(start.pc),
            seq: 0,
            observed: false,
            regs: start.regs,
            icache: vec![1; self.code_cells],
        });
        let mut state = State {
            pes: pes.collect(),
            cells: cells.collect(),
            returned: false,
            stale: false,
            unpredictable: false,
        };
        self.settle(&mut state, tell)?;
        Ok(state)
    }

    /// Whether all PEs are at their end.
    #[must_use]
    pub(crate) fn is_final(&self, state: &State) -> bool {
        state.pes.iter().all(|pe| {
            let at_end = match pe.next {
                Next::At(pc) => self.program.code.get(usize::from(pc)) == Some(&Insn::End),
                Next::Unknown => false,
            };
            at_end && pe.window.is_empty()
        })
    }

    /// The steps that `state` allows.
    pub(crate) fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        steps.clear();
        // Predictions and guesses come first and alone: all of them are followed, and the right one
        // disables no other step.
        for (number, pe) in state.pes.iter().enumerate() {
            if self.forks(number, pe, steps) {
                return;
            }
        }
        for (number, pe) in state.pes.iter().enumerate() {
            self.fetches(state, number, pe, steps);
            for at in 0..pe.window.len() {
                self.happenings(state, number, pe, at, steps);
            }
        }
    }

    fn forks(&self, number: usize, pe: &Pe, steps: &mut Vec<Step>) -> bool {
        let number = small(number);
        if pe.next == Next::Unknown
            && let Some(branch) = pe.window.last()
        {
            let mut go = |to| steps.push(Step::Predict { pe: number, to });
            match branch.insn {
                Insn::BCond { to, .. } | Insn::Cb { to, .. } | Insn::Tb { to, .. } => {
                    go(to);
                    go(branch.pc + 1);
                }
                _ => self.program.indirect.iter().for_each(|to| go(*to)),
            }
            return true;
        }
        for (at, entry) in pe.window.iter().enumerate() {
            let Insn::Csel { n, m, inc, .. } = entry.insn else { continue };
            let open = entry.guess == Guess::None && !entry.ready && (n != m || inc);
            if open && super::settle::read(pe, at, FLAGS).is_none() {
                let at = small(at);
                steps.extend([true, false].map(|holds| Step::Guess { pe: number, at, holds }));
                return true;
            }
        }
        false
    }

    fn fetches(&self, state: &State, number: usize, pe: &Pe, steps: &mut Vec<Step>) {
        let Some((_, mask)) = self.fetchable(state, pe) else { return };
        let pe = small(number);
        let writes = (0..64u8).filter(|write| mask >> write & 1 == 1);
        steps.extend(writes.map(|write| Step::Fetch { pe, write }));
    }

    /// The cell that a PE can fetch from, and the writes that it can fetch, one bit each.
    fn fetchable(&self, state: &State, pe: &Pe) -> Option<(usize, u64)> {
        let Next::At(pc) = pe.next else { return None };
        let cell = self.cell(pc)?;
        if self.is_stalled(pe) {
            return None;
        }
        let writes = state.cells.get(cell)?.writes.len();
        if self.cache.dic() && self.rules.has(Rule::DicFetchesMemory) {
            return Some((cell, 1 << (writes - 1)));
        }
        Some((cell, *pe.icache.get(cell)?))
    }

    fn happenings(&self, state: &State, number: usize, pe: &Pe, at: usize, steps: &mut Vec<Step>) {
        let Some(entry) = pe.window.get(at) else { return };
        if entry.done || entry.kind == Kind::Other {
            return;
        }
        let (number, place) = (small(number), small(at));
        if entry.begun {
            for to in (0..8u8).filter(|to| entry.pending >> to & 1 == 1) {
                steps.push(Step::IcReach { pe: number, at: place, to });
            }
            return;
        }
        if entry.loc == NONE && entry.insn != Insn::IcAll || !self.may_happen(pe, at) {
            return;
        }
        match entry.kind {
            Kind::Load => {
                let value = self.readable(state, pe, at);
                let wanted = match entry.insn {
                    Insn::Await { value, .. } => Some(value),
                    _ => None,
                };
                if let Some((value, _)) = value
                    && wanted.is_none_or(|wanted| wanted == value)
                {
                    steps.push(Step::Load { pe: number, at: place });
                }
            }
            Kind::Store if entry.ready => steps.push(Step::Store { pe: number, at: place }),
            Kind::Dc => steps.push(Step::Dc { pe: number, at: place }),
            Kind::Ic => steps.push(Step::IcBegin { pe: number, at: place }),
            Kind::Store | Kind::Other => {}
        }
    }

    /// The value that a load would read now; `None` while it waits for the operand of a store, or
    /// if the model does not have the value.
    fn readable(&self, state: &State, pe: &Pe, at: usize) -> Option<(u64, LoadedFrom)> {
        let loc = pe.window.get(at)?.loc;
        let store = pe.window[..at]
            .iter()
            .rev()
            .find(|older| older.kind == Kind::Store && older.loc == loc && !older.done);
        if let Some(store) = store
            && self.rules.has(Rule::Forwarding)
        {
            return store.ready.then_some((store.value, LoadedFrom::Store(store.seq)));
        }
        match self.cell(loc).and_then(|cell| state.cells.get(cell)) {
            Some(cell) => {
                Some((*cell.writes.last()?, LoadedFrom::Write(small(cell.writes.len() - 1))))
            }
            None => {
                Some((self.program.locations.get(usize::from(loc))?.value?, LoadedFrom::Write(0)))
            }
        }
    }

    /// Takes a step that `state` allows.
    ///
    /// # Errors
    /// If the execution is pruned, or exceeds a bound.
    pub(crate) fn take(
        &self,
        state: &mut State,
        step: Step,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        self.act(state, step, tell)?;
        self.settle(state, tell)
    }

    fn act(
        &self,
        state: &mut State,
        step: Step,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        match step {
            Step::Predict { pe, to } => {
                if let Some(pe) = state.pes.get_mut(usize::from(pe)) {
                    pe.next = Next::At(to);
                    if let Some(branch) = pe.window.last_mut() {
                        branch.next = to;
                    }
                }
            }
            Step::Guess { pe, at, holds } => {
                let pe = state.pes.get_mut(usize::from(pe));
                if let Some(entry) = pe.and_then(|pe| pe.window.get_mut(usize::from(at))) {
                    entry.guess = Guess::Is(holds);
                }
            }
            Step::Fetch { pe, write } => self.fetch(state, usize::from(pe), write, tell)?,
            Step::Load { pe, at } => self.load(state, usize::from(pe), usize::from(at), tell)?,
            Step::Store { pe, at } => self.store(state, usize::from(pe), usize::from(at), tell)?,
            Step::Dc { pe, at } => {
                let loc = self.finish(state, usize::from(pe), usize::from(at))?;
                if self.rules.has(Rule::DcUnifies) {
                    self.clean(state, self.line(loc));
                }
                tell(usize::from(pe), Event::Cleaned { loc });
            }
            Step::IcBegin { pe, at } => {
                self.begin(state, usize::from(pe), usize::from(at), tell)?;
            }
            Step::IcReach { pe, at, to } => {
                self.reach(state, usize::from(pe), usize::from(at), to, tell);
            }
        }
        Ok(())
    }

    fn fetch(
        &self,
        state: &mut State,
        number: usize,
        write: u8,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        let Some(pe) = state.pes.get(number) else { return Ok(()) };
        let (Some((cell, mask)), Next::At(pc)) = (self.fetchable(state, pe), pe.next) else {
            return Ok(());
        };
        let Some(words) = state.cells.get(cell) else { return Ok(()) };
        let of = |write: &u8| words.writes.get(usize::from(*write)).copied().unwrap_or(0);
        let word = of(&write);
        let differs = (0..64u8).filter(|other| mask >> other & 1 == 1).map(|other| of(&other));
        let conflict =
            differs.into_iter().any(|other| other != word && !both_modifiable(word, other));
        state.unpredictable |= conflict && self.rules.has(Rule::ModifiableWords);
        let insn = self.insn_of(pc, word);
        if let Some(pe) = state.pes.get_mut(number) {
            self.push(pe, pc, insn, write)?;
        }
        tell(number, Event::Fetched { pc, write, choice: mask });
        Ok(())
    }

    fn load(
        &self,
        state: &mut State,
        number: usize,
        at: usize,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        let Some(pe) = state.pes.get(number) else { return Ok(()) };
        let Some((value, source)) = self.readable(state, pe, at) else { return Ok(()) };
        let age = |source| match source {
            LoadedFrom::Write(at) => u16::from(at),
            LoadedFrom::Store(_) | LoadedFrom::Nowhere => u16::MAX,
        };
        let Some(pe) = state.pes.get_mut(number) else { return Ok(()) };
        let Some((entry, younger)) = pe.window.get_mut(at..).and_then(<[_]>::split_first_mut)
        else {
            return Ok(());
        };
        let overtaken = younger.iter().any(|other| {
            other.kind == Kind::Load
                && other.done
                && other.loc == entry.loc
                && age(other.source) < age(source)
        });
        if overtaken && self.rules.has(Rule::LoadsInOrder) {
            return Err(Stop::Pruned);
        }
        let w = matches!(entry.insn, Insn::Ldr { w: true, .. });
        entry.source = source;
        (entry.value, entry.ready, entry.done) = (narrow(value, w), true, true);
        let (loc, pc) = (entry.loc, entry.pc);
        let observes = self.program.observers.contains(&pc);
        let forwarded = matches!(source, LoadedFrom::Store(_));
        tell(number, Event::Loaded { loc, value, forwarded, observes });
        Ok(())
    }

    fn store(
        &self,
        state: &mut State,
        number: usize,
        at: usize,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        let Some(pe) = state.pes.get(number) else { return Ok(()) };
        let Some(entry) = pe.window.get(at) else { return Ok(()) };
        let (loc, seq, value) = (entry.loc, entry.seq, entry.value);
        if loc == NOWHERE {
            return Err(Stop::Nowhere(entry.pc));
        }
        let Some(cell) = self.cell(loc) else { return Err(Stop::Writes(loc)) };
        if self.races(state, number, cell, value) {
            state.unpredictable = true;
        }
        let Some(words) = state.cells.get_mut(cell) else { return Ok(()) };
        if words.writes.len() >= 64 {
            return Err(Stop::Bound);
        }
        words.writes.push(value);
        let write = small(words.writes.len() - 1);
        if self.cache.idc() && self.rules.has(Rule::IdcUnifies) {
            words.unified = write;
        }
        if cell < self.code_cells {
            for pe in &mut state.pes {
                if let Some(mask) = pe.icache.get_mut(cell) {
                    *mask |= 1 << write;
                }
            }
        }
        if let Some(pe) = state.pes.get_mut(number) {
            for entry in &mut pe.window {
                if entry.source == LoadedFrom::Store(seq) {
                    entry.source = LoadedFrom::Write(write);
                }
                entry.done |= entry.seq == seq;
            }
        }
        tell(number, Event::Stored { loc, value });
        Ok(())
    }

    /// Whether a PE could fetch the location at the moment of the write, and the words may not be
    /// modified concurrently.
    fn races(&self, state: &State, _number: usize, cell: usize, value: u64) -> bool {
        let Some(old) = state.cells.get(cell).and_then(|cell| cell.writes.last()) else {
            return false;
        };
        if cell >= self.code_cells
            || *old == value
            || both_modifiable(*old, value)
            || !self.rules.has(Rule::ModifiableWords)
        {
            return false;
        }
        state.pes.iter().any(|pe| self.fetchable(state, pe).is_some_and(|(at, _)| at == cell))
    }

    /// Marks an entry as done; returns its location.
    fn finish(&self, state: &mut State, number: usize, at: usize) -> Result<u16, Stop> {
        let pe = state.pes.get_mut(number);
        let Some(entry) = pe.and_then(|pe| pe.window.get_mut(at)) else { return Err(Stop::Pruned) };
        entry.done = true;
        Ok(entry.loc)
    }

    fn clean(&self, state: &mut State, line: Option<Line>) {
        for (cell, loc) in state.cells.iter_mut().zip(&self.locs) {
            if self.line(loc.0) == line {
                cell.unified = small(cell.writes.len() - 1);
            }
        }
    }

    fn begin(
        &self,
        state: &mut State,
        number: usize,
        at: usize,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        let all = u8::try_from((1u16 << state.pes.len()) - 1).unwrap_or(u8::MAX);
        let pe = state.pes.get_mut(number);
        let Some(entry) = pe.and_then(|pe| pe.window.get_mut(at)) else { return Err(Stop::Pruned) };
        let is_local = entry.insn == Insn::IcAll || !self.rules.has(Rule::IcReachesAll);
        entry.begun = true;
        entry.pending = if is_local { 1 << number } else { all };
        let (pending, loc) = (entry.pending, (entry.insn != Insn::IcAll).then_some(entry.loc));
        tell(number, Event::IcBegun { loc });
        if self.reduced {
            for to in (0..8u8).filter(|to| pending >> to & 1 == 1) {
                self.reach(state, number, at, to, tell);
            }
        }
        Ok(())
    }

    fn reach(
        &self,
        state: &mut State,
        number: usize,
        at: usize,
        to: u8,
        tell: &mut dyn FnMut(usize, Event),
    ) {
        let pe = state.pes.get_mut(number);
        let Some(entry) = pe.and_then(|pe| pe.window.get_mut(at)) else { return };
        entry.pending &= !(1 << to);
        entry.done = entry.pending == 0;
        let loc = (entry.insn != Insn::IcAll).then_some(entry.loc);
        tell(number, Event::IcReached { loc, to });
        if !self.rules.has(Rule::IcInvalidates) {
            return;
        }
        let Some(pe) = state.pes.get_mut(usize::from(to)) else { return };
        for ((mask, cell), place) in pe.icache.iter_mut().zip(&state.cells).zip(&self.locs) {
            if loc.is_none_or(|loc| self.line(loc) == self.line(place.0)) {
                // The write that memory has, and younger writes in the data caches.
                *mask &= u64::MAX << cell.unified;
            }
        }
    }
}

fn both_modifiable(a: u64, b: u64) -> bool {
    let is = |word: u64| u32::try_from(word).is_ok_and(is_concurrently_modifiable);
    is(a) && is(b)
}
