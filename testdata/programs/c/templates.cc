// The first file with copies of the functions in templates.h, and its own functions.
#include "templates.h"

namespace app {

DEFINE_STATIC_KEY_FALSE(trace);

namespace {
DEFINE_STATIC_KEY_TRUE(checks);

ALONE int checked(int value)
{
	return static_branch_likely(&checks) ? value : -value;
}
} // namespace

} // namespace app

static void check_trace(int is_on)
{
	auto lambda = [](int value) ALONE { return static_branch_unlikely(&app::trace) ? value : 0; };

	CHECK(app::traced(1) == 1 + is_on && app::traced(1.5) == 1.5 + is_on);
	CHECK(app::doubled(2) == 2 + 2 * is_on && lambda(3) == 3 * is_on);
	CHECK(other_traced(1) == 1 + is_on && other_doubled(2) == 2 + 2 * is_on);
}

static void check_gauges(int is_first_on, int is_second_on)
{
	CHECK(app::Gauge<2>::read() == 2 * is_first_on);
	CHECK(app::Gauge<3>::read() == 3 * is_second_on);
	CHECK(other_gauge() == 2 * is_first_on);
}

int main()
{
	app::Counter counter;

	check_trace(0);
	CHECK(static_branch_enable(&app::trace) == 0);
	check_trace(1);
	CHECK(static_branch_disable(&app::trace) == 0);
	check_trace(0);

	check_gauges(0, 0);
	CHECK(static_branch_enable(&app::Gauge<2>::key) == 0);
	check_gauges(1, 0);
	CHECK(static_branch_enable(&app::Gauge<3>::key) == 0);
	check_gauges(1, 1);

	CHECK(counter.add(1) == 0 && other_counter(1) == 0);
	CHECK(static_branch_enable(&app::Counter::enabled) == 0);
	CHECK(counter.add(5) == 5 && other_counter(5) == 5);

	CHECK(app::checked(4) == 4);
	CHECK(static_branch_disable(&app::checks) == 0 && app::checked(4) == -4);
	return verdict();
}
