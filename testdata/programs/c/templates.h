// Keys in namespaces, classes and templates; sites in templates and inline functions, of
// which two files have a copy each.
#ifndef TEMPLATES_H
#define TEMPLATES_H

#include "check.h"

#include <jlctl/jump_label.h>

namespace app {

DECLARE_STATIC_KEY_FALSE(trace);

template <int N> struct Gauge {
	static JLSHIM_HIDDEN struct static_key_false key;
	ALONE static int read() { return static_branch_unlikely(&key) ? N : 0; }
};

template <int N> struct static_key_false Gauge<N>::key = STATIC_KEY_FALSE_INIT;

class Counter {
public:
	ALONE int add(int value)
	{
		if (static_branch_unlikely(&enabled))
			total += value;
		return total;
	}
	static inline JLSHIM_HIDDEN struct static_key_false enabled = STATIC_KEY_FALSE_INIT;

private:
	int total = 0;
};

template <typename T> ALONE T traced(T value)
{
	return static_branch_unlikely(&trace) ? value + T(1) : value;
}

inline ALONE int doubled(int value)
{
	return static_branch_likely(&trace) ? 2 * value : value;
}

} // namespace app

/* The results of the other file's copies. */
int other_traced(int value);
int other_doubled(int value);
int other_gauge();
int other_counter(int value);

#endif
