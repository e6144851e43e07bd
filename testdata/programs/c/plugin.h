/* The interface of a plug-in, which has its own keys and sites. */
#ifndef PLUGIN_H
#define PLUGIN_H

struct plugin {
	int number;
	/* The results of the plug-in's sites: one digit each. */
	int (*value)(void);
	/* 0, or a negative errno. */
	int (*flip)(int on);
};

#endif
