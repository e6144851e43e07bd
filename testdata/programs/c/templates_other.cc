// The second file with copies of the same functions.
#include "templates.h"

int other_traced(int value)
{
	return app::traced(value);
}

int other_doubled(int value)
{
	return app::doubled(value);
}

int other_gauge()
{
	return app::Gauge<2>::read();
}

int other_counter(int value)
{
	app::Counter counter;
	return counter.add(value);
}
