/* Answers each line with the value that its library's key selects. */
#include <stdio.h>

int library_value(void);

int main(void)
{
	int c;

	while ((c = getchar()) != EOF) {
		if (c == '\n') {
			printf("%d\n", library_value());
			fflush(stdout);
		}
	}
	return 0;
}
