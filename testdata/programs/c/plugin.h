/* What a plug-in offers; its keys and sites are its own. */
#ifndef PLUGIN_H
#define PLUGIN_H

struct plugin {
	int number;
	/* What the plug-in's sites say: one digit each. */
	int (*value)(void);
	/* 0, or a negative errno. */
	int (*flip)(int on);
};

#endif
