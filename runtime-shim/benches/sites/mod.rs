//! Functions with one site each, for this crate and for its peer `static-keys`.

/// Defines `all()`, pointers to $count functions with one site of $key each.  $from is the crate
/// of the site's macro, and $before is assembly before the site.
macro_rules! sites {
    ($name:ident, $key:path, $from:ident, $before:literal, $count:literal) => {
        pub(crate) mod $name {
            #[inline(never)]
            fn site<const N: usize>() -> usize {
                // SAFETY: an alignment or nothing.
                unsafe { core::arch::asm!($before, options(nomem, nostack, preserves_flags)) };
                if $from::static_branch_unlikely!($key) { std::hint::black_box(N) } else { 0 }
            }

            const EVERY: [fn() -> usize; 1000] = $crate::sites::thousand!(site);

            /// The functions.
            pub(crate) fn all() -> &'static [fn() -> usize] {
                const ALL: [fn() -> usize; $count] = {
                    let mut all = [EVERY[0]; $count];
                    let mut index = 0;
                    while index < $count {
                        all[index] = EVERY[index];
                        index += 1;
                    }
                    all
                };
                std::hint::black_box(&ALL)
            }
        }
    };
}

/// A thousand instances of a function with one constant parameter.
macro_rules! thousand {
    ($site:ident) => {
        $crate::sites::thousand!(@ten $site [] 0 1 2 3 4 5 6 7 8 9)
    };
    (@ten $site:ident [$($done:expr,)*] $a:literal $($rest:literal)*) => {
        $crate::sites::thousand!(@ten $site [$($done,)*
            $crate::sites::thousand!(@row $site $a 0), $crate::sites::thousand!(@row $site $a 1),
            $crate::sites::thousand!(@row $site $a 2), $crate::sites::thousand!(@row $site $a 3),
            $crate::sites::thousand!(@row $site $a 4), $crate::sites::thousand!(@row $site $a 5),
            $crate::sites::thousand!(@row $site $a 6), $crate::sites::thousand!(@row $site $a 7),
            $crate::sites::thousand!(@row $site $a 8), $crate::sites::thousand!(@row $site $a 9),
        ] $($rest)*)
    };
    (@ten $site:ident [$($done:expr,)*]) => {
        $crate::sites::flat([$($done,)*])
    };
    (@row $site:ident $a:literal $b:literal) => {
        [
            $site::<{ ($a * 10 + $b) * 10 }>, $site::<{ ($a * 10 + $b) * 10 + 1 }>,
            $site::<{ ($a * 10 + $b) * 10 + 2 }>, $site::<{ ($a * 10 + $b) * 10 + 3 }>,
            $site::<{ ($a * 10 + $b) * 10 + 4 }>, $site::<{ ($a * 10 + $b) * 10 + 5 }>,
            $site::<{ ($a * 10 + $b) * 10 + 6 }>, $site::<{ ($a * 10 + $b) * 10 + 7 }>,
            $site::<{ ($a * 10 + $b) * 10 + 8 }>, $site::<{ ($a * 10 + $b) * 10 + 9 }>,
        ]
    };
}

pub(crate) use thousand;

/// The elements of all rows, in order.
pub(crate) const fn flat(rows: [[fn() -> usize; 10]; 100]) -> [fn() -> usize; 1000] {
    let mut all = [rows[0][0]; 1000];
    let mut index = 0;
    while index < 1000 {
        all[index] = rows[index / 10][index % 10];
        index += 1;
    }
    all
}

jlctl_shim::define_static_key_false!(pub(crate) static OURS_33);
jlctl_shim::define_static_key_false!(pub(crate) static OURS_SPREAD);
jlctl_shim::define_static_key_false!(pub(crate) static OURS_OFF);
static_keys::define_static_key_false!(PEERS_33_KEY);
static_keys::define_static_key_false!(PEERS_SPREAD_KEY);

/// Turns the peer's key on and off.
///
/// # Safety
/// No other thread runs.
macro_rules! flip_peers {
    ($name:ident, $key:ident) => {
        #[allow(dead_code, reason = "not every benchmark flips all keys")]
        pub(crate) unsafe fn $name() {
            // SAFETY: the caller's promise.
            unsafe { $key.enable() };
            // SAFETY: the caller's promise.
            unsafe { $key.disable() };
        }
    };
}

flip_peers!(flip_peers_33, PEERS_33_KEY);
flip_peers!(flip_peers_spread, PEERS_SPREAD_KEY);

sites!(ours_33, crate::sites::OURS_33, jlctl_shim, "", 33);
sites!(peers_33, crate::sites::PEERS_33_KEY, static_keys, "", 33);
// A site on every page.
sites!(ours_spread, crate::sites::OURS_SPREAD, jlctl_shim, ".p2align 12", 1000);
sites!(peers_spread, crate::sites::PEERS_SPREAD_KEY, static_keys, ".p2align 12", 1000);
